import { type Cloud, CloudError } from "../../../scripts/rolling-update/cloud";
import { ACTION_OF, rollerPolicy } from "../../../scripts/rolling-update/policy";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { type Rehearsal, rehearse } from "../../support/rolling";

/** Actions the policy allows on groups and reads; the caller's own identity needs no permission. */
function allowed(aws: SimulatedAws, without?: string): (method: keyof Cloud) => CloudError | undefined {
  const actions = new Set(
    rollerPolicy(aws.manifest, { changesGroups: true }).Statement.flatMap(({ Action }) => Action),
  );
  if (without !== undefined) actions.delete(without);
  return (method) =>
    method === "identity" || actions.has(ACTION_OF[method])
      ? undefined
      : new CloudError(method, "AccessDenied", `not authorized to perform: ${ACTION_OF[method]}`);
}

/** Rolls that use every right: a good release, a stuck one that is corrected, one that fails and is rolled back. */
async function everything(without?: string): Promise<string[]> {
  const ends: string[] = [];
  const aws = await SimulatedAws.running({ hook: { heartbeatMs: 120_000 } });
  const connection = { fault: allowed(aws, without) };
  const store = new MemoryStore();
  const run = async (rehearsal: Rehearsal) => {
    const { outcome } = await rehearse(aws, { store, connection, ...rehearsal });
    ends.push(outcome.error?.code === "CLOUD_DENIED" ? "denied" : outcome.status);
    if (outcome.error?.code === "HOOK_ABANDONED" && outcome.error.reason?.includes("console") === false)
      ends.push("mute");
  };
  aws.release({ bootMs: () => 100_000 });
  await run({ settings: { alarms: ["errors"] } });
  aws.release({ boot: "hangs" });
  await run({ settings: { launchTimeoutMs: 120_000 } });
  aws.release();
  await run({});
  aws.release({ boot: "fails" });
  const onBoot = aws.autoScaling.onBoot;
  aws.autoScaling.onBoot = (instanceId, group) => {
    aws.ec2.console.set(instanceId, "console");
    onBoot(instanceId, group);
  };
  await run({ settings: { onFailure: "rollback" } });
  return ends;
}

describe("the roller's IAM policy", () => {
  test("R22: is enough for every kind of roll", async () => {
    await expect(everything()).resolves.toEqual(["done", "failed", "done", "rolled back"]);
  });

  const actions = [...new Set(Object.values(ACTION_OF))].filter((action) => !action.startsWith("sts:"));
  test.each(actions)("R22: does not do without %s", async (action) => {
    await expect(everything(action)).resolves.not.toEqual(["done", "failed", "done", "rolled back"]);
  });

  test("R22: changes only groups with the cluster's tag, and only the cluster's own parameters", async () => {
    const aws = await SimulatedAws.running();

    const statements = rollerPolicy(aws.manifest).Statement;

    for (const { Sid, Action, Resource, Condition } of statements) {
      const isRead = Action.every((action) => /:(Describe|Get)/.test(action));
      if (isRead) continue;
      if (Sid === "LockAndJournal") expect(JSON.stringify(Resource)).not.toMatch(/parameter\/\*|"\*"/);
      else expect(Condition).toEqual({ StringEquals: { "aws:ResourceTag/holdfast:cluster": "orders" } });
    }
    expect(JSON.stringify(statements)).not.toContain("ec2:RunInstances");
  });
});
