import { versionNumbersDiffer } from "../../../scripts/bench-rolling/updaters";
import type { Group, Instance } from "../../../scripts/rolling-update/cloud";
import type { ManifestNode } from "../../../scripts/rolling-update/manifest";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { Monitor } from "../../../scripts/rolling-update/simulator/monitor";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { staleness, templateReference } from "../../../scripts/rolling-update/staleness";
import { rehearse } from "../../support/rolling";

const node: ManifestNode = {
  id: "00",
  group: "g",
  interfaceId: "eni-0",
  volumeIds: ["vol-0"],
  zone: "a",
  ip: "10.0.0.10",
};
const target = { id: "lt-1", version: 7 };
/** More than two nodes take, and far less than a roll without end. */
const LIMIT_MS = 4 * 3_600_000;

interface Case {
  readonly members?: readonly { version?: string; id?: string; lifecycle?: string }[];
  readonly configHash?: string;
  readonly tag?: string;
  readonly forced?: boolean;
}

function groupOf({ members = [{}] }: Case): Group {
  return {
    name: "g",
    template: { id: target.id, version: String(target.version) },
    min: 1,
    max: 1,
    desired: 1,
    zones: ["a"],
    subnetIds: [],
    suspended: [],
    retainsInstances: false,
    tags: {},
    instances: members.map(({ version = "7", id = "lt-1", lifecycle = "InService" }, index) => ({
      id: `i-${index}`,
      lifecycle,
      healthy: true,
      ...(version === "" ? {} : { template: { id, version } }),
    })),
  };
}

function judge(given: Case): string | undefined {
  const { configHash, tag, forced = false } = given;
  const group = groupOf(given);
  const instance: Instance = {
    id: "i-0",
    state: "running",
    tags: tag === undefined ? {} : { "holdfast:config-hash": tag },
  };
  const subject = configHash === undefined ? node : { ...node, configHash };
  try {
    return staleness(subject, { group, instances: new Map([["i-0", instance]]) }, target, forced);
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/** A node, and why it is stale, undefined when it is not; a code in capitals where it cannot be told. */
const CASES: readonly (readonly [string, Case, string | undefined])[] = [
  ["same id and version", {}, undefined],
  ["older version", { members: [{ version: "6" }] }, "other version"],
  ["newer version", { members: [{ version: "8" }] }, "other version"],
  ["same version of another template", { members: [{ id: "lt-2" }] }, "other template"],
  ["version 10 against 7, not compared as text", { members: [{ version: "10" }] }, "other version"],
  ["instance reports $Latest", { members: [{ version: "$Latest" }] }, "TEMPLATE_UNKNOWN"],
  ["instance reports $Default", { members: [{ version: "$Default" }] }, "TEMPLATE_UNKNOWN"],
  ["instance without a template", { members: [{ version: "" }] }, "TEMPLATE_UNKNOWN"],
  ["instance reports null", { members: [{ version: "null" }] }, "TEMPLATE_UNKNOWN"],
  ["no instance", { members: [] }, "no instance"],
  ["only a terminating instance", { members: [{ lifecycle: "Terminating" }] }, "no instance"],
  [
    "old terminating, new pending",
    { members: [{ lifecycle: "Terminating", version: "6" }, { lifecycle: "Pending" }] },
    undefined,
  ],
  ["two instances", { members: [{}, {}] }, "several instances"],
  [
    "stuck in its hook on an older version",
    { members: [{ lifecycle: "Pending:Wait", version: "6" }] },
    "other version",
  ],
  ["other configuration hash", { configHash: "b", tag: "a" }, "other configuration"],
  ["no configuration hash on the instance", { configHash: "b" }, "other configuration"],
  ["same configuration hash", { configHash: "b", tag: "b" }, undefined],
  ["forced", { forced: true }, "forced"],
];

describe("which nodes are stale", () => {
  test.each(CASES)("R2: %s", (_name, given, expected) => {
    expect(judge(given)).toBe(expected);
  });

  test("R2: comparing version numbers alone, as the usual shell loop does, misjudges six of these at least", () => {
    const misjudged = CASES.filter(([, given, expected]) => {
      const mustNotSkip = expected !== undefined;
      return versionNumbersDiffer(groupOf(given)) !== mustNotSkip;
    });

    expect(CASES.length).toBeGreaterThanOrEqual(14);
    expect(misjudged.length).toBeGreaterThanOrEqual(6);
  });

  test.each([
    ["a version", { id: "lt-1", version: "3" }, { id: "lt-1", version: "3" }],
    ["$Latest", { id: "lt-1", version: "$Latest" }, { id: "lt-1", version: "$Latest" }],
    ["no version, which AWS takes for $Default", { id: "lt-1" }, { id: "lt-1", version: "$Default" }],
  ])("R2: a group refers to %s", (_name, template, expected) => {
    expect(templateReference(node, { name: "g", template } as unknown as Group)).toEqual(expected);
  });

  test("R2: a launch configuration or mixed instances policy is an error, never up to date", () => {
    expect(() => templateReference(node, { name: "g" } as Group)).toThrow(/does not launch from a launch template/);
  });

  test("R2: a node that is forced though it is on its target is replaced once, in a resumed roll too", async () => {
    const aws = await SimulatedAws.running();
    const monitor = new Monitor(aws);
    const store = new MemoryStore();
    const settings = { force: ["00", "01"], confirmAfterFirst: true };

    const first = await rehearse(aws, { store, settings, limitMs: LIMIT_MS });
    const rest = await rehearse(aws, { store, settings, resume: true, confirmed: true, limitMs: LIMIT_MS });

    expect(first.outcome).toMatchObject({ status: "paused", replaced: ["00"] });
    expect(rest.outcome).toMatchObject({ status: "done", replaced: ["00", "01"] });
    expect(monitor.terminatedNodes).toEqual(["00", "01"]);
  });

  test("R2: a group on $Latest is rolled to the version it stands for", async () => {
    const aws = await SimulatedAws.running();
    aws.release({}, undefined, () => "$Latest");

    const { outcome } = await rehearse(aws);

    expect(outcome).toMatchObject({ status: "done", replaced: ["00", "01", "02"] });
    expect(aws.group("orders-node-00").instances[0]?.template?.version).toBe("2");
  });
});
