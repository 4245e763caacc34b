import { type Clock, jittered } from "../clock";
import { RollError } from "../roll-error";
import type { StopRequest } from "../roll-ports";
import type { FleetEvent } from "./fleet-events";
import { type InstanceRefresh, type InstanceRefreshes, isUnderWay } from "./instance-refresh";

const POLL_MS = 10_000;
/** Silence is never longer than this, plus one look. */
const EVENT_GAP_MS = 15_000;

export interface FollowPorts {
  readonly refreshes: InstanceRefreshes;
  readonly clock: Clock;
  readonly report: (event: FleetEvent) => void;
}

export interface FollowOptions {
  /** The refresh to follow; without it the one under way, or one that begins soon. */
  readonly id?: string;
  /** How long a refresh may take to show: a deployment that started one ends before AWS tells of it. */
  readonly appearMs: number;
  readonly timeoutMs: number;
  /** Raised by a signal: stop watching. The refresh goes on. */
  readonly stop?: StopRequest;
}

/** How a refresh ended, or why nobody watches it any more. */
export interface FleetOutcome {
  readonly status: "done" | "rolled back" | "cancelled" | "failed" | "unwatched";
  readonly refresh: InstanceRefresh;
  readonly error?: RollError;
}

/**
 * Watches a pool's instance refresh to its end: Terraform starts one and does not wait for it.
 * @throws RollError NO_REFRESH when none shows before it is stopped, GATE_CLOSED when it did not end in time.
 */
export async function follow(ports: FollowPorts, group: string, options: FollowOptions): Promise<FleetOutcome> {
  const { refreshes, clock, report } = ports;
  const startedMs = clock.now();
  let refresh = await appearing(ports, group, options);
  const tell = (kind: FleetEvent["kind"]) =>
    report({
      time: new Date(clock.now()).toISOString(),
      group,
      refresh: refresh.id,
      kind,
      status: refresh.status,
      percent: refresh.percent,
      remaining: refresh.remaining,
      elapsedMs: clock.now() - refresh.startedMs,
      ...(refresh.reason === undefined ? {} : { reason: refresh.reason }),
    });
  tell("following");
  let toldMs = clock.now();
  while (isUnderWay(refresh)) {
    if (isStopped(options)) return { status: "unwatched", refresh };
    if (clock.now() - startedMs >= options.timeoutMs) throw tooLate(group, refresh, options.timeoutMs);
    await clock.sleep(jittered(clock, POLL_MS));
    const seen = (await refreshes.describe(group)).find(({ id }) => id === refresh.id);
    if (seen === undefined) continue;
    const hasMoved =
      seen.status !== refresh.status || seen.percent !== refresh.percent || seen.reason !== refresh.reason;
    refresh = seen;
    if (hasMoved || clock.now() - toldMs >= EVENT_GAP_MS) {
      if (isUnderWay(refresh)) tell(hasMoved ? "progress" : "waiting");
      toldMs = clock.now();
    }
  }
  tell("finished");
  return outcomeOf(refreshes, group, refresh);
}

/** The refresh asked for, or the one under way; a refresh that ended before anyone looked is not taken for the new one. */
async function appearing({ refreshes, clock }: FollowPorts, group: string, options: FollowOptions) {
  const { id, appearMs } = options;
  const deadlineMs = clock.now() + appearMs;
  const firstMs = clock.now();
  for (;;) {
    const all = await refreshes.describe(group);
    const found =
      id === undefined
        ? all.find((refresh) => isUnderWay(refresh) || refresh.startedMs >= firstMs)
        : all.find((refresh) => refresh.id === id);
    if (found) return found;
    // One that is named was just started, and shows.
    const isWanted = id !== undefined || !isStopped(options);
    if (clock.now() >= deadlineMs || !isWanted) {
      const last = all[0];
      throw new RollError("NO_REFRESH", `no instance refresh of ${group} is under way`, {
        reason: last === undefined ? "it never had one" : `the last, ${last.id}, is ${last.status}${because(last)}`,
        next: `\`holdfast roll fleet start --group ${group} --yes\` starts one`,
      });
    }
    await clock.sleep(Math.min(jittered(clock, POLL_MS), deadlineMs - clock.now()));
  }
}

async function outcomeOf(refreshes: InstanceRefreshes, group: string, refresh: InstanceRefresh): Promise<FleetOutcome> {
  switch (refresh.status) {
    case "Successful":
      return { status: "done", refresh };
    case "RollbackSuccessful":
      return { status: "rolled back", refresh, error: failure("rolled back by itself", refresh, []) };
    case "Cancelled":
      return { status: "cancelled", refresh };
    default: {
      const launches = await refreshes.failedLaunches(group, refresh.startedMs);
      return { status: "failed", refresh, error: failure(`ended as ${refresh.status}`, refresh, launches) };
    }
  }
}

function failure(what: string, refresh: InstanceRefresh, launches: readonly string[]): RollError {
  const reasons = [refresh.reason, ...launches.slice(0, 3)].filter(Boolean).join("\n");
  return new RollError("REFRESH_FAILED", `the refresh ${what} at ${refresh.percent} %`, {
    ...(reasons === "" ? {} : { reason: reasons }),
    next: "correct the release and apply it; `holdfast roll fleet follow` watches the refresh that it starts",
  });
}

function tooLate(group: string, refresh: InstanceRefresh, timeoutMs: number): RollError {
  return new RollError(
    "GATE_CLOSED",
    `the refresh was ${refresh.status} at ${refresh.percent} % after ${Math.round(timeoutMs / 1_000)} s; it goes on`,
    {
      ...(refresh.reason === undefined ? {} : { reason: refresh.reason }),
      next: `\`holdfast roll fleet follow --group ${group}\`, or \`holdfast roll fleet rollback --group ${group} --yes\``,
    },
  );
}

const isStopped = ({ stop }: FollowOptions): boolean => stop !== undefined && stop.level !== "go on";

const because = ({ reason }: InstanceRefresh) => (reason === undefined ? "" : `: ${reason}`);
