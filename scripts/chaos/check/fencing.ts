import type { HistoryEntry } from "./history";

/** A daemon that stood still with its whole machine, leash included, while its lease ran out. */
export interface FrozenDaemon {
  readonly slot: string;
  readonly fence: bigint;
}

/** The fences of a job from its first claim on. */
export interface FencingResult {
  readonly violations: readonly string[];
  readonly claims: number;
  readonly writes: number;
  /** Refusals of daemons that woke with a frozen machine: the resource did what no lease can. */
  readonly refusedAwakened: number;
}

/**
 * Whether no two daemons ran one job, by the sink's own history:
 *
 * - a slot is never claimed with a smaller fence than before,
 * - who writes is who claimed last, and the position never goes back,
 * - nobody is refused. A daemon that is refused was alive after the next one had begun. Only one whose whole machine had stood still may be, since
 *   nothing on that machine could have ended it, and only by a larger fence.
 */
export function checkFencing(history: readonly HistoryEntry[], frozen: readonly FrozenDaemon[]): FencingResult {
  const violations: string[] = [];
  let refusedAwakened = 0;
  const slots = new Map<string, { fence: bigint; holder: string; lsn: bigint }>();
  for (const entry of history) {
    const { slot, fence, holder } = entry;
    const fault = (what: string) => void violations.push(`${slot}: ${what}`);
    const now = slots.get(slot);
    if (entry.event === "claimed") {
      if (now && fence < now.fence) fault(`claimed with fence ${fence} after fence ${now.fence}`);
      slots.set(slot, { lsn: 0n, ...now, fence, holder });
    } else if (!now) {
      fault(`fence ${fence} ${entry.event === "wrote" ? "wrote" : "was refused"} before anybody had claimed`);
    } else if (entry.event === "wrote") {
      if (now.fence !== fence || now.holder !== holder) {
        fault(`fence ${fence} (${holder}) wrote while fence ${now.fence} (${now.holder}) had the claim`);
      }
      const lsn = lsnOf(entry.lsn);
      if (lsn < now.lsn) fault(`fence ${fence} moved the position back to ${entry.lsn}`);
      now.lsn = lsn;
    } else if (fence === now.fence) {
      fault(`two daemons had fence ${fence}: one was refused by the other`);
    } else if (fence < now.fence && frozen.some((daemon) => daemon.slot === slot && daemon.fence === fence)) {
      refusedAwakened += 1;
    } else {
      fault(`fence ${fence} was alive after fence ${now.fence} had begun: it was refused`);
    }
  }
  const count = (event: HistoryEntry["event"]) => history.filter((entry) => entry.event === event).length;
  return { violations, claims: count("claimed"), writes: count("wrote"), refusedAwakened };
}

/** https://www.postgresql.org/docs/current/datatype-pg-lsn.html */
function lsnOf(text: string): bigint {
  const [high = "0", low = "0"] = text.split("/");
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}
