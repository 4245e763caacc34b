import type { Pool } from "pg";
import type { Request } from "../protocol/messages";
import { OWES_TEST } from "./connection-tests";
import { transaction } from "./database";
import { applyToJob } from "./jobs";
import { HELD_JOBS, type HeldJob, openSession } from "./sessions";
import { VALID } from "./tokens";
import { OWES_UPGRADE } from "./upgrades";

/** What a renewed session should know. */
export interface Renewal {
  readonly held: readonly HeldJob[];
  readonly draining: boolean;
  /** An operator wants it to drain. */
  readonly drainOrdered: boolean;
  /** It was asked to test a connection. */
  readonly owesTest: boolean;
  /** It was asked to upgrade. */
  readonly owesUpgrade: boolean;
}

/** Heartbeats that wait for the end of their window. */
interface Group {
  readonly tokenIds: Set<string>;
  /** Of those that were valid, by token. One promise for all leaves half as much behind as one for each. */
  readonly renewals: Promise<ReadonlyMap<string, Renewal>>;
  readonly endWindow: () => void;
}

/** Who sends a heartbeat: a token that was valid once, and the session it was issued to. */
export interface Beating {
  readonly tokenId: string;
  readonly sessionId: string;
}

/**
 * Renews the leases of those whose tokens are valid still. Locks in the order of ids, so that two batches never wait for each other. A
 * lease that ran out but was not yet swept is renewed like any other: whoever holds it here still holds it everywhere.
 */
export const RENEW = `
  with valid as materialized (
    select id, session_id from tokens where id = any($1) and ${VALID}
  ), beating as materialized (
    select session_id from leases where session_id = any(array(select session_id from valid)) order by session_id for update
  ), renewed as (
    update leases l set expires_at = now() + make_interval(secs => $2) from beating b
    where l.session_id = b.session_id returning l.session_id
  )
  select v.id, s.draining, s.drain_ordered as "drainOrdered", ${HELD_JOBS} as held, ${OWES_TEST} as "owesTest", ${OWES_UPGRADE} as "owesUpgrade"
  from renewed join valid v on v.session_id = renewed.session_id join sessions s on s.id = renewed.session_id`;

/** How long a heartbeat waits for others, for each that came within a second: 45 groups a second come of it at most. */
const WAIT_PER_HEARTBEAT_MS = 0.5;

/**
 * Renews leases in groups: the heartbeats that arrive within a window share one statement and one commit, and are answered only
 * after it. Ten thousand workers then cost the database a few per cent of a core. The window grows with the fleet: a few workers wait
 * for nobody.
 */
export class Heartbeats {
  private waiting: Group | undefined;
  private readonly arrivals = new Arrivals();

  constructor(
    private readonly pool: Pool,
    private readonly serverLeaseMs: number,
    private readonly longestWindowMs = 25,
  ) {}

  /**
   * Renews a session's lease, opens the session at its first heartbeat and takes back what it released. `refused` where the session has
   * ended or the token is not valid any more, which this alone checks; what is released and opened needs one that was just valid.
   */
  async beat(
    { tokenId, sessionId }: Beating,
    state: "registered" | "open",
    beat: Pick<Request<"heartbeat">, "running" | "released">,
  ): Promise<Renewal | "refused"> {
    if (state === "registered" && !(await openSession(this.pool, sessionId, beat.running, this.serverLeaseMs))) {
      return "refused";
    }
    for (const { jobId, fence } of beat.released) {
      const by = { session: sessionId, fence };
      await transaction(this.pool, (tx) => applyToJob(tx, jobId, { type: "release", by }, `session:${sessionId}`));
    }
    const windowMs = Math.min(this.longestWindowMs, this.arrivals.add() * WAIT_PER_HEARTBEAT_MS);
    this.waiting ??= this.gather(windowMs);
    const { tokenIds, renewals } = this.waiting;
    tokenIds.add(tokenId);
    return (await renewals).get(tokenId) ?? "refused";
  }

  /** Renews those that wait, at once. Call it before the pool closes. */
  async flush(): Promise<void> {
    const group = this.waiting;
    group?.endWindow();
    await group?.renewals.catch(() => undefined);
  }

  private gather(windowMs: number): Group {
    const tokenIds = new Set<string>();
    let endWindow = (): void => undefined;
    const window = new Promise<void>((resolve) => {
      endWindow = resolve;
    });
    const timer = setTimeout(endWindow, windowMs);
    const renewals = window.then(async () => {
      clearTimeout(timer);
      this.waiting = undefined;
      return await this.renew(tokenIds);
    });
    return { tokenIds, renewals, endWindow };
  }

  private async renew(tokenIds: ReadonlySet<string>): Promise<ReadonlyMap<string, Renewal>> {
    const { rows } = await this.pool.query<{ id: string } & Renewal>({
      name: "renew-leases",
      text: RENEW,
      values: [[...tokenIds], this.serverLeaseMs / 1_000],
    });
    return new Map(rows.map(({ id, ...renewal }) => [id, renewal]));
  }
}

/** Counts what comes, by the second. */
class Arrivals {
  private second = 0;
  private inThis = 0;
  private inLast = 0;

  /** One more has come. @returns how many in this second, or in the last one where those were more */
  add(): number {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.second) {
      this.inLast = second === this.second + 1 ? this.inThis : 0;
      this.inThis = 0;
      this.second = second;
    }
    this.inThis += 1;
    return Math.max(this.inThis, this.inLast);
  }
}
