import { GuardedLease } from "../../../agent/worker/guard-lease";
import { LeaseKeeper } from "../../../agent/worker/lease-keeper";
import { DEFAULT_TIMING, jobsMovedAfterMs } from "../../../control-plane/lease/timing";
import { seededRandom } from "../../../scripts/seeded-random";

const { heartbeatMs, workerLeaseMs } = DEFAULT_TIMING;
const SEED = 6;
const TIMES = 100;
const STEP_MS = 10;
/** How often agent and guard look at the lease. */
const LOOK_MS = 250;
/** Between SIGTERM and SIGKILL of a daemon whose lease is over. */
const GRACE_MS = 1_000;
/** Beyond the lease, before systemd ends a guard that stands still. */
const WATCHDOG_MARGIN_MS = 1_000;
const LONGEST_SUSPENSION_MS = 600_000;

type Fault = "killed" | "stopped" | "suspended" | "cut off";

interface Death {
  /** Of the last heartbeat that was answered. */
  readonly sentAt: number;
  /** When the control plane received it: its own lease counts from then. */
  readonly receivedAt: number;
  /** When the agent and its guard ran again, or went on alone. */
  readonly resumedAt: number;
  /** When the daemons were told to end. */
  readonly toldAt: number;
}

/** One worker on virtual time: its agent and guard with their own code, the machine, the network and systemd's watchdog made up. */
function death(fault: Fault, random: () => number): Death {
  let now = 0;
  const clocks = { monotonicMs: 1_000 * random(), wallMs: 1_700_000_000_000 };
  const instant = () => ({ ...clocks });
  const guard = new GuardedLease(instant);
  const keeper = new LeaseKeeper(
    (lease) => {
      guard.hold(lease);
      watchdogAt = now + guard.remainingMs() + WATCHDOG_MARGIN_MS;
    },
    () => {
      lapsedAt = now;
    },
    instant,
  );
  let watchdogAt = Number.POSITIVE_INFINITY;
  let lapsedAt = Number.POSITIVE_INFINITY;
  let answered = { sentAt: 0, receivedAt: 0 };
  const faultAt = 3 * heartbeatMs + random() * 10 * heartbeatMs;
  const pass = (ms: number) => {
    now += ms;
    clocks.monotonicMs += ms;
    clocks.wallMs += ms;
  };

  let sendAt = 0;
  let underWay:
    | { sending: ReturnType<LeaseKeeper["sending"]>; sentAt: number; receivedAt: number; at: number }
    | undefined;
  const lookOffset = Math.floor(random() * (LOOK_MS / STEP_MS)) * STEP_MS;
  const isLook = () => (Math.round(now / STEP_MS) * STEP_MS + lookOffset) % LOOK_MS === 0;
  for (; now < faultAt; pass(STEP_MS)) {
    if (isLook()) keeper.tick();
    if (!underWay && now >= sendAt) {
      const takesMs = random() * 2_000;
      underWay = { sending: keeper.sending(), sentAt: now, receivedAt: now + random() * takesMs, at: now + takesMs };
      sendAt = now + heartbeatMs * (0.8 + 0.4 * random());
    }
    if (underWay && now >= underWay.at) {
      answered = underWay;
      keeper.renew(underWay.sending, workerLeaseMs);
      underWay = undefined;
    }
  }

  if (fault === "suspended") {
    const suspendedMs = random() * LONGEST_SUSPENSION_MS;
    now += suspendedMs;
    clocks.wallMs += suspendedMs;
    watchdogAt += suspendedMs;
  }
  const resumedAt = now;
  const isTold: Readonly<Record<Fault, () => boolean>> = {
    killed: () => isLook() && guard.remainingMs() <= 0,
    suspended: () => isLook() && guard.remainingMs() <= 0,
    stopped: () => now >= watchdogAt,
    // It goes on, and hears nothing.
    "cut off": () => {
      if (isLook()) keeper.tick();
      return now >= lapsedAt;
    },
  };
  const giveUpAt = now + 2 * workerLeaseMs;
  while (!isTold[fault]() && now < giveUpAt) pass(STEP_MS);
  return { ...answered, resumedAt, toldAt: now };
}

test(`R24, control-plane 6: of ${TIMES} agents that are killed, as many cut off, stopped with their guard and suspended with their machine, no daemon runs when its job may be given to another (seed ${SEED})`, () => {
  const random = seededRandom(SEED);
  const deaths = (fault: Fault) => Array.from({ length: TIMES }, () => death(fault, random));
  const after = (all: readonly Death[], since: (death: Death) => number) =>
    Math.max(...all.map((one) => one.toldAt + GRACE_MS - since(one)));

  const killed = deaths("killed");
  const cutOff = deaths("cut off");
  const stopped = deaths("stopped");
  const suspended = deaths("suspended");

  // A daemon survives its agent, and ends with the lease that it held.
  for (const all of [killed, cutOff]) {
    expect(after(all, ({ sentAt }) => sentAt)).toBeLessThanOrEqual(workerLeaseMs + LOOK_MS + STEP_MS + GRACE_MS);
  }
  expect(after(stopped, ({ sentAt }) => sentAt)).toBeLessThanOrEqual(
    workerLeaseMs + WATCHDOG_MARGIN_MS + STEP_MS + GRACE_MS,
  );
  for (const all of [killed, cutOff, stopped]) {
    expect(after(all, ({ receivedAt }) => receivedAt)).toBeLessThan(jobsMovedAfterMs(DEFAULT_TIMING));
  }
  // One that slept through its lease is told to end at the first look after.
  const overslept = suspended.filter(({ sentAt, resumedAt }) => resumedAt - sentAt > workerLeaseMs);
  expect(overslept.length).toBeGreaterThan(TIMES / 2);
  expect(Math.max(...overslept.map(({ toldAt, resumedAt }) => toldAt - resumedAt))).toBeLessThanOrEqual(LOOK_MS);
});
