import { GuardedLease } from "../../../agent/worker/guard-lease";
import { type HandedLease, LeaseKeeper } from "../../../agent/worker/lease-keeper";

const LEASE_MS = 10_000;

/** A keeper and its guard on a machine whose clocks the test sets. */
function machine() {
  const clocks = { monotonicMs: 5_000, wallMs: 1_700_000_000_000 };
  const now = () => ({ ...clocks });
  const guard = new GuardedLease(now);
  const handed: HandedLease[] = [];
  const lapses: number[] = [];
  const keeper = new LeaseKeeper(
    (lease) => {
      handed.push(lease);
      guard.hold(lease);
    },
    () => void lapses.push(keeper.lapses),
    now,
  );
  const pass = (ms: number, wallMs = ms) => {
    clocks.monotonicMs += ms;
    clocks.wallMs += wallMs;
  };
  const left = () => [keeper.remainingMs, guard.remainingMs()];
  return { now, keeper, guard, handed, lapses, pass, left };
}

test("no daemon may run before the first answer, and from then on until a lease after its heartbeat was sent", () => {
  const { keeper, lapses, pass, left } = machine();
  const sending = keeper.sending();
  expect([keeper.valid, keeper.remainingMs]).toEqual([false, 0]);

  pass(4_000);
  keeper.renew(sending, LEASE_MS);
  expect(left()).toEqual([LEASE_MS - 4_000, LEASE_MS - 4_000]);

  pass(LEASE_MS - 4_000);
  expect([keeper.valid, ...left(), ...lapses]).toEqual([false, 0, 0, 1]);
  pass(60_000);
  expect([keeper.valid, ...lapses]).toEqual([false, 1]);
});

test("what was asked of the guard under a lease that is over does not go by the next one", () => {
  const { now, guard, pass } = machine();
  const isAskedInTime = guard.hold({ sentAt: now(), leaseMs: LEASE_MS });
  pass(LEASE_MS - 1);
  expect(isAskedInTime()).toBe(true);

  // WHEN the guard hears of the next lease just after the end of the first
  pass(1);
  const isNextInTime = guard.hold({ sentAt: now(), leaseMs: LEASE_MS });

  expect([isAskedInTime(), isNextInTime()]).toEqual([false, true]);
});

test("an answer that comes after the lease that it grants renews nothing", () => {
  const { keeper, guard, lapses, pass } = machine();
  const sending = keeper.sending();
  pass(LEASE_MS);
  keeper.renew(sending, LEASE_MS);
  expect([keeper.valid, ...lapses]).toEqual([false]);
  expect(guard.remainingMs()).toBeLessThanOrEqual(0);
});

test("of answers that come in another order the heartbeat that was sent last counts", () => {
  const { keeper, handed, pass, left } = machine();
  const first = keeper.sending();
  pass(1_000);
  const second = keeper.sending();
  keeper.renew(second, LEASE_MS);
  keeper.renew(first, LEASE_MS);
  expect(left()).toEqual([LEASE_MS, LEASE_MS]);
  expect(handed).toHaveLength(1);
});

test.each([
  ["the wall clock is set back", 6_000, -3_600_000, 6_000],
  ["the wall clock stands still", 6_000, 0, 6_000],
  ["the machine was suspended, in which only the wall clock goes on", 0, 6_000, 6_000],
  ["the wall clock is set ahead", 1_000, 3_600_000, 3_600_000],
])(
  "where %s the longer of both times has passed, for the agent and for its guard",
  (_, monotonicMs, wallMs, passed) => {
    const { keeper, pass, left } = machine();
    keeper.renew(keeper.sending(), LEASE_MS);
    pass(monotonicMs, wallMs);
    const [agents = 0, guards = 0] = left();
    expect(agents).toBe(Math.max(0, LEASE_MS - passed));
    expect(guards).toBe(LEASE_MS - passed);
  },
);

test.each([
  ["by the monotonic clock", 6_000, -3_600_000],
  ["by the wall clock", 0, 6_000],
])(
  "a guard that hears of a lease late counts what has passed since its heartbeat was sent, %s",
  (_, monotonicMs, wallMs) => {
    const { now, guard, pass } = machine();
    const sentAt = now();
    pass(monotonicMs, wallMs);
    guard.hold({ sentAt, leaseMs: LEASE_MS });
    expect(guard.remainingMs()).toBe(LEASE_MS - 6_000);
  },
);

test("a guard ends when a lease that it took up in time is over, also where the newest that it hears of comes too late", () => {
  const { now, guard, pass } = machine();
  const late = now();
  pass(LEASE_MS);
  guard.hold({ sentAt: late, leaseMs: LEASE_MS });
  expect(guard.isOver).toBe(false);

  guard.hold({ sentAt: now(), leaseMs: LEASE_MS });
  expect(guard.isOver).toBe(false);

  pass(LEASE_MS);
  guard.hold({ sentAt: late, leaseMs: LEASE_MS });
  expect(guard.isOver).toBe(true);
});

test("a guard that hears of an earlier lease after a later one keeps to the later one, be it the longer or the shorter", () => {
  const { now, guard, pass } = machine();
  const earlier = { sentAt: now(), leaseMs: LEASE_MS };
  pass(4_000);
  guard.hold({ sentAt: now(), leaseMs: LEASE_MS });
  pass(1_000);

  // WHEN a start that took long to be read comes with the lease under which it was asked for
  const isAskedInTime = guard.hold(earlier);

  expect(guard.remainingMs()).toBe(LEASE_MS - 1_000);
  expect(isAskedInTime()).toBe(true);
  pass(5_000);
  expect([isAskedInTime(), guard.isOver]).toEqual([false, false]);

  // AND the later one may be the shorter
  guard.hold({ sentAt: now(), leaseMs: 1_000 });
  guard.hold({ ...earlier, leaseMs: 10 * LEASE_MS });
  expect(guard.remainingMs()).toBe(1_000);
  pass(1_000);
  expect(guard.isOver).toBe(true);
});

test("a guard hears of the same lease again, and after a suspension of the next one: both are held", () => {
  const { now, guard, pass } = machine();
  const lease = { sentAt: now(), leaseMs: LEASE_MS };
  guard.hold(lease);
  guard.hold(lease);
  expect(guard.remainingMs()).toBe(LEASE_MS);

  // WHEN the monotonic clock stands still, and the wall clock is set back afterwards
  pass(0, LEASE_MS / 2);
  pass(0, -3_600_000);
  guard.hold({ sentAt: now(), leaseMs: LEASE_MS });

  expect(guard.remainingMs()).toBe(LEASE_MS);
});
