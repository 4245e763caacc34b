import fc from "fast-check";
import { lifecycleHooks, reachOfTimeout, timeoutForDeadline } from "../../../modules/worker-fleet/lifecycle-hooks";

const terminate = (drainDeadlineSeconds: number, terminateTimeoutSeconds?: number) =>
  lifecycleHooks({
    launchTimeoutSeconds: 600,
    drainDeadlineSeconds,
    ...(terminateTimeoutSeconds === undefined ? {} : { terminateTimeoutSeconds }),
  }).terminate;

test("R7: a terminate hook reaches every deadline up to 48 hours on its own", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 172_800 }), (deadline) => {
      const { heartbeatTimeoutSeconds } = terminate(deadline);
      expect(Math.min(172_800, 100 * heartbeatTimeoutSeconds)).toBeGreaterThanOrEqual(deadline);
      expect(heartbeatTimeoutSeconds).toBeLessThanOrEqual(7_200);
    }),
  );
});

test("R7: a given timeout that does not reach the deadline is refused, with the one that does", () => {
  expect(() => terminate(86_400, 300)).toThrow(
    "drain deadline (86400 s) should be <= 30000 s, the reach of a terminate hook with a timeout of 300 s; " +
      "set the timeout to 864 s or leave it out",
  );
  expect(terminate(30_000, 300).heartbeatTimeoutSeconds).toBe(300);
});

test("R7: no hook holds longer than 48 hours", () => {
  expect(reachOfTimeout(7_200)).toBe(172_800);
  expect(() => terminate(172_801)).toThrow("drain deadline (172801 s) should be <= 172800 s");
});

test("R7: timeouts stay in what EC2 Auto Scaling allows", () => {
  expect(() => terminate(60, 29)).toThrow("terminate hook timeout (29 s) should be from 30 to 7200 s");
  expect(() => lifecycleHooks({ launchTimeoutSeconds: 7_201, drainDeadlineSeconds: 60 })).toThrow(
    "launch hook timeout (7201 s) should be from 30 to 7200 s",
  );
  expect(timeoutForDeadline(60)).toBe(300);
});
