import { signOfLife, trackProgress } from "../../../agent/host/watchdog";

let time: number;
const progress = () => trackProgress(() => time);
const sign = (of: ReturnType<typeof trackProgress>) => signOfLife(of, "running", 30_000);

beforeEach(() => {
  time = 0;
});

test("a sign of life is given only while every loop turns", () => {
  const loops = progress();
  loops.turn("session", 60_000);
  loops.turn("notices", 2_000);
  expect(sign(loops)).toEqual({ watchdog: true });

  // WHEN one loop goes on and the other does not
  time = 123_000;
  loops.turn("session", 60_000);

  // THEN
  expect(loops.stuck()).toEqual(["notices"]);
  expect(sign(loops)).toBeUndefined();

  loops.turn("notices", 2_000);
  expect(sign(loops)).toEqual({ watchdog: true });
});

test("a loop that waits long by intention is not stuck", () => {
  const loops = progress();
  loops.turn("metrics", 600_000);
  time = 700_000;

  expect(sign(loops)).toEqual({ watchdog: true });
});

test("a loop that has ended is no longer expected to turn", () => {
  const loops = progress();
  loops.turn("metrics", 0);
  loops.end("metrics");
  time = 1_000_000;

  expect(sign(loops)).toEqual({ watchdog: true });
});

test("during the start, where no watchdog runs, the sign moves the start's deadline on", () => {
  expect(signOfLife(progress(), "starting", 30_000)).toEqual({ extendTimeoutMs: 60_000 });
});

test("of a service that leaves, asked to stop or by itself, the sign moves the stop's deadline on and is the watchdog's", () => {
  expect(signOfLife(progress(), "stopping", 30_000)).toEqual({ watchdog: true, extendTimeoutMs: 90_000 });
});
