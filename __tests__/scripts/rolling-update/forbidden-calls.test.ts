import type { Cloud } from "../../../scripts/rolling-update/cloud";
import { MUTATIONS } from "../../../scripts/rolling-update/cloud";
import { forbidden } from "../../../scripts/rolling-update/simulator/permitted-calls";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { type RunningServer, startHttpServer } from "../../support/http-server";
import { ROLL_ADAPTERS } from "../../support/roll-adapters";
import { rehearse } from "../../support/rolling";
import { useTestCredentials } from "../../support/test-credentials";

const TEMPLATE = { id: "lt-0123456789abcdef0", version: 2 };

/** Every change that the roller knows: what it says, and the one request that it becomes. */
const CHANGES: Readonly<Record<(typeof MUTATIONS)[number], [(cloud: Cloud) => Promise<void>, string, object]>> = {
  suspendLaunch: [
    (cloud) => cloud.suspendLaunch("orders-00"),
    "SuspendProcesses",
    { AutoScalingGroupName: "orders-00", "ScalingProcesses.member.1": "Launch" },
  ],
  resumeLaunch: [
    (cloud) => cloud.resumeLaunch("orders-00"),
    "ResumeProcesses",
    { AutoScalingGroupName: "orders-00", "ScalingProcesses.member.1": "Launch" },
  ],
  terminate: [
    (cloud) => cloud.terminate("i-1", false),
    "TerminateInstanceInAutoScalingGroup",
    { InstanceId: "i-1", ShouldDecrementDesiredCapacity: "false" },
  ],
  abandon: [
    (cloud) => cloud.abandon("orders-00", "boot", "i-1"),
    "CompleteLifecycleAction",
    {
      AutoScalingGroupName: "orders-00",
      LifecycleHookName: "boot",
      InstanceId: "i-1",
      LifecycleActionResult: "ABANDON",
    },
  ],
  heartbeat: [
    (cloud) => cloud.heartbeat("orders-00", "boot", "i-1"),
    "RecordLifecycleActionHeartbeat",
    { AutoScalingGroupName: "orders-00", LifecycleHookName: "boot", InstanceId: "i-1" },
  ],
  resize: [
    (cloud) => cloud.resize("orders-00", { min: 0, desired: 1 }),
    "UpdateAutoScalingGroup",
    { AutoScalingGroupName: "orders-00", MinSize: "0", DesiredCapacity: "1" },
  ],
  setTemplate: [
    (cloud) => cloud.setTemplate("orders-00", TEMPLATE),
    "UpdateAutoScalingGroup",
    {
      AutoScalingGroupName: "orders-00",
      "LaunchTemplate.LaunchTemplateId": TEMPLATE.id,
      "LaunchTemplate.Version": "2",
    },
  ],
};

describe("R23: in every run, a call that could cost data", () => {
  test("ends the simulation, though the roller would take it for a failure like any other", async () => {
    const aws = await SimulatedAws.running();
    aws.release();
    const rash = rehearse(aws, {
      probe: (truth) => ({
        ...truth,
        leader: async () => {
          const cloud = aws.connect(aws.clock.process());
          const skipping = cloud.terminate as (id: string, decrement: boolean, how: object) => Promise<void>;
          await skipping("i-1", false, { SkipOsShutdown: true }).catch(() => {});
          return undefined;
        },
      }),
    });

    await expect(rash).rejects.toThrow('forbidden: terminate("i-1",false,{"SkipOsShutdown":true})');
  });

  test.each<[string, readonly unknown[]]>([
    ["detachVolume", ["vol-1", { Force: true }]],
    ["deleteVolume", ["vol-1"]],
    ["deleteInterface", ["eni-1"]],
    ["terminateInstances", [["i-1"], { Force: true }]],
    ["terminate", ["i-1", false, { Force: true }]],
    ["resize", ["orders-00", { min: 0, desired: 1, forceDelete: true }]],
  ])("is %s(%j), for which there is no use", (method, args) => {
    expect(forbidden(method as keyof Cloud, args)).toMatch(/^forbidden: /);
  });
});

describe.each(ROLL_ADAPTERS)("R23: through $name", (adapter) => {
  let server: RunningServer;
  const asked: Record<string, string>[] = [];

  useTestCredentials();

  beforeAll(async () => {
    server = await startHttpServer(({ body }) => {
      const said = Object.fromEntries(new URLSearchParams(body));
      asked.push(said);
      return {
        status: 200,
        headers: { "content-type": "text/xml" },
        body: `<${said.Action}Response><${said.Action}Result/></${said.Action}Response>`,
      };
    });
  });
  afterAll(() => server.close());

  test.each(MUTATIONS)("%s asks AWS for this and nothing more", async (method) => {
    const [call, Action, parameters] = CHANGES[method];
    asked.length = 0;

    await call(adapter.cloud("eu-west-1", server.endpoint));

    expect(asked).toEqual([{ Action, Version: "2011-01-01", ...parameters }]);
  });
});
