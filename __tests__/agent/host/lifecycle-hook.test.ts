import { type Aws, AwsError, awsClient } from "../../../agent/host/aws";
import { completeHook, hookHeartbeatPeriodMs, prolongHook } from "../../../agent/host/lifecycle-hook";
import { createLog } from "../../../agent/host/log";
import { type FakeAws, startAws, xmlError } from "../../support/fake-aws";
import { FAKE_CREDENTIALS } from "../../support/imds";

const HOOK = {
  autoScalingGroupName: "pool-a",
  hookName: "launch",
  instanceId: "i-1",
  heartbeatTimeoutSeconds: 0.03,
};

const noLongerWaiting = () => new AwsError("autoscaling", "A", "ValidationError", "No active Lifecycle Action", 400);

let server: FakeAws;
const lines: string[] = [];
const log = createLog((line) => void lines.push(line));
const client = () =>
  awsClient({
    region: "us-east-1",
    credentials: Object.assign(async () => FAKE_CREDENTIALS, { forget() {} }),
    environment: { AWS_ENDPOINT_URL: server.endpoint },
    backoff: { baseMs: 1, capMs: 5 },
  });

beforeEach(async () => {
  lines.length = 0;
  server = await startAws({ waitingHooks: ["launch"] });
});
afterEach(() => server.close());

test("completing names group, hook, instance and result, and outlasts throttling", async () => {
  let refusals = 2;
  server.intercept("CompleteLifecycleAction", () => (refusals-- > 0 ? xmlError(400, "Throttling", "slow") : undefined));

  await completeHook(client(), HOOK, "ABANDON", log);

  expect(server.waitingHooks.size).toBe(0);
  expect(server.callsOf("CompleteLifecycleAction")).toHaveLength(3);
  expect(server.callsOf("CompleteLifecycleAction")[2]?.params).toMatchObject({
    AutoScalingGroupName: "pool-a",
    LifecycleHookName: "launch",
    InstanceId: "i-1",
    LifecycleActionResult: "ABANDON",
  });
});

test("a hook that no longer waits is logged with AWS's reason", async () => {
  server.waitingHooks.clear();

  await completeHook(client(), HOOK, "CONTINUE", log);

  expect(lines.join()).toContain("No active Lifecycle Action found");
});

test("a hook that may not be completed is an error", async () => {
  server.intercept("CompleteLifecycleAction", () => xmlError(403, "AccessDenied", "no"));

  await expect(completeHook(client(), HOOK, "CONTINUE", log)).rejects.toMatchObject({ code: "AccessDenied" });
});

test("the wait is prolonged until Auto Scaling says that it is over; a failed heartbeat does not end it", async () => {
  const answers = [
    undefined,
    new AwsError("autoscaling", "A", "Throttling", "slow", 400),
    undefined,
    noLongerWaiting(),
  ];
  const call = jest.fn(async (_service: string, _action: string, params?: object) => {
    const answer = answers.shift();
    if (answer) throw answer;
    return { ...params };
  });

  await prolongHook({ ...client(), call } as Aws, HOOK, log, new AbortController().signal);

  expect(answers).toHaveLength(0);
  expect(call).toHaveBeenLastCalledWith(
    "autoscaling",
    "RecordLifecycleActionHeartbeat",
    { AutoScalingGroupName: "pool-a", LifecycleHookName: "launch", InstanceId: "i-1" },
    expect.anything(),
  );
});

test("prolonging ends with its signal", async () => {
  const abort = new AbortController();
  const prolonging = prolongHook(client(), { ...HOOK, heartbeatTimeoutSeconds: 3_600 }, log, abort.signal);
  abort.abort();

  await prolonging;
  expect(server.calls).toHaveLength(0);
});

test.each([
  [30, 9_000, 10_000],
  [300, 90_000, 100_000],
  [7_200, 810_000, 900_000],
])("a timeout of %i s is renewed every %i to %i ms", (timeout, least, most) => {
  expect(hookHeartbeatPeriodMs(timeout, () => 1)).toBeCloseTo(least);
  expect(hookHeartbeatPeriodMs(timeout, () => 0)).toBeCloseTo(most);
});
