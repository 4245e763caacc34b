import { AutoScalingClient, PutLifecycleHookCommand } from "@aws-sdk/client-auto-scaling";
import { type Emulator, startMoto } from "../../../scripts/emulator/moto";
import { parameterStore } from "../../../scripts/rolling-update/aws/parameter-store";
import { systemClock } from "../../../scripts/rolling-update/clock";
import type { Cloud } from "../../../scripts/rolling-update/cloud";
import { Lock, lockOwner } from "../../../scripts/rolling-update/lock";
import type { Manifest } from "../../../scripts/rolling-update/manifest";
import { plan } from "../../../scripts/rolling-update/plan";
import { noProbe } from "../../../scripts/rolling-update/probe";
import { parseSettings } from "../../../scripts/rolling-update/settings";
import { deployNodes } from "../../support/emulated-nodes";
import { ROLL_ADAPTERS } from "../../support/roll-adapters";
import { useTestCredentials } from "../../support/test-credentials";

jest.setTimeout(120_000);

/** Each adapter has a region of its own, and so a world of its own. */
const REGIONS = ["eu-west-1", "eu-central-1"];
const ACCOUNT = "123456789012";
const GROUP = "orders-node-00";

useTestCredentials();
let emulator: Emulator;

beforeAll(async () => {
  emulator = await startMoto();
});
afterAll(() => emulator.stop());

describe.each(ROLL_ADAPTERS.map((adapter, index) => ({ ...adapter, region: REGIONS[index] ?? "" })))(
  "AWS through $name",
  ({ region, ...adapter }) => {
    let cloud: Cloud;
    let manifest: Manifest;
    let ids: { template: string; networkInterface: string; volume: string };
    const zone = `${region}a`;
    const store = (cluster: string) => parameterStore(cluster, adapter.systemsManager(region, emulator.url));

    beforeAll(async () => {
      cloud = adapter.cloud(region, emulator.url);
      manifest = await deployNodes({ region, endpoint: emulator.url, ids: ["00"], version: 2 });
      // One that is named at a group's creation moto forgets.
      await new AutoScalingClient({ region, endpoint: emulator.url }).send(
        new PutLifecycleHookCommand({
          AutoScalingGroupName: GROUP,
          LifecycleHookName: "boot",
          LifecycleTransition: "autoscaling:EC2_INSTANCE_LAUNCHING",
          HeartbeatTimeout: 600,
        }),
      );
      const [node] = manifest.nodes;
      ids = {
        template: node?.template?.id ?? "",
        networkInterface: node?.interfaceId ?? "",
        volume: node?.volumeIds[0] ?? "",
      };
    });

    test("knows whose credentials it has, and where it is bound", async () => {
      await expect(cloud.identity()).resolves.toEqual({ accountId: ACCOUNT, region });
    });

    test("reads a group, its instance, interface, volume, hook and template", async () => {
      const [group, ...others] = await cloud.describeGroups([GROUP, "no-such-group"]);
      const [member] = group?.instances ?? [];

      expect(others).toEqual([]);
      expect(group).toMatchObject({
        name: GROUP,
        min: 1,
        max: 1,
        desired: 1,
        zones: [zone],
        suspended: [],
        template: { id: ids.template, version: "2" },
        tags: { "holdfast:cluster": "orders" },
      });
      expect(member).toMatchObject({
        lifecycle: "InService",
        healthy: true,
        template: { id: ids.template, version: expect.stringMatching(/^\d+$/) },
      });
      await expect(cloud.describeInstances([member?.id ?? "", "i-00000000000000bad"])).resolves.toMatchObject([
        { id: member?.id, state: "running" },
      ]);
      await expect(cloud.describeInterfaces([ids.networkInterface])).resolves.toMatchObject([
        { id: ids.networkInterface, status: "available", zone, deleteOnTermination: false },
      ]);
      await expect(cloud.describeVolumes([ids.volume])).resolves.toEqual([
        { id: ids.volume, state: "available", zone, deleteOnTermination: false },
      ]);
      await expect(cloud.describeHooks(GROUP)).resolves.toMatchObject([
        { name: "boot", transition: "launching", heartbeatMs: 600_000 },
      ]);
      for (const version of ["2", "$Latest"]) {
        await expect(cloud.describeTemplate(ids.template, version)).resolves.toEqual({
          id: ids.template,
          version: 2,
          spot: false,
          interfaces: [{ id: ids.networkInterface, deleteOnTermination: false }],
        });
      }
      await expect(cloud.describeTemplate(ids.template, "$Default")).resolves.toMatchObject({ version: 1 });
      await expect(cloud.impairedZones()).resolves.toEqual([]);
      await expect(cloud.firingAlarms(["no-such-alarm"])).resolves.toEqual([]);
    });

    test("suspends and resumes Launch alone", async () => {
      await cloud.suspendLaunch(GROUP);
      expect((await cloud.describeGroups([GROUP]))[0]?.suspended).toEqual(["Launch"]);

      await cloud.resumeLaunch(GROUP);
      expect((await cloud.describeGroups([GROUP]))[0]?.suspended).toEqual([]);
    });

    test("changes sizes and the template version of a group", async () => {
      await cloud.setTemplate(GROUP, { id: ids.template, version: 1 });
      await cloud.resize(GROUP, { min: 0, desired: 1 });
      expect((await cloud.describeGroups([GROUP]))[0]).toMatchObject({ min: 0, template: { version: "1" } });

      await cloud.setTemplate(GROUP, { id: ids.template, version: 2 });
      await cloud.resize(GROUP, { min: 1, desired: 1 });
      expect((await cloud.describeGroups([GROUP]))[0]).toMatchObject({ min: 1, template: { version: "2" } });
    });

    test("terminates through the group", async () => {
      const old = (await cloud.describeGroups([GROUP]))[0]?.instances[0]?.id ?? "";

      await cloud.terminate(old, false);

      expect((await cloud.describeGroups([GROUP]))[0]?.instances.map(({ id }) => id)).not.toContain(old);
      await expect(cloud.describeInstances([old])).resolves.toMatchObject([{ state: "terminated" }]);
    });

    test("reads beyond a page, and more groups than one call takes", async () => {
      const names = [GROUP, ...Array.from({ length: 120 }, (_, index) => `absent-${index}`)];

      await expect(cloud.describeGroups(names)).resolves.toMatchObject([{ name: GROUP }]);
    });

    test("gives AWS's own code and sentence with an error", async () => {
      await expect(cloud.describeTemplate("lt-00000000000000bad", "1")).rejects.toMatchObject({
        name: "CloudError",
        action: "describeTemplate",
        code: "InvalidLaunchTemplateId.NotFound",
        message: expect.stringContaining("lt-00000000000000bad"),
        kind: "invalid",
      });
    });

    test("a plan reads all of it, and refuses a node whose zone is another", async () => {
      const moved = { ...manifest, nodes: manifest.nodes.map((node) => ({ ...node, zone: `${region}b` })) };
      const parameters = store("plan");

      const shown = await plan(
        { cloud, clock: systemClock, probe: noProbe, store: parameters },
        moved,
        parseSettings(),
      );

      expect(shown.refusals.map(({ rule }) => rule)).toContain("one-zone");
    });

    test("keeps lock and journal as parameters: atomic creation, listing beyond a page, removal", async () => {
      const parameters = store("orders");

      await expect(parameters.create("lock/1", "first")).resolves.toBe(true);
      await expect(parameters.create("lock/1", "second")).resolves.toBe(false);
      for (let node = 0; node < 12; node++) await parameters.write(`journal/nodes/${node}`, `node ${node}`);
      await parameters.write("journal/nodes/3", "changed");

      const nodes = await parameters.list("journal/nodes/");
      expect(nodes.size).toBe(12);
      expect(nodes.get("journal/nodes/3")).toBe("changed");
      await expect(parameters.list("lock/")).resolves.toEqual(new Map([["lock/1", "first"]]));
      await parameters.remove("lock/1");
      await parameters.remove("lock/1");
      await expect(parameters.list("lock/")).resolves.toEqual(new Map());
    });

    test("R8: the lock works on parameters", async () => {
      const parameters = store("payments");

      const lock = await Lock.acquire(parameters, systemClock, "first");
      await expect(Lock.acquire(parameters, systemClock, "second")).rejects.toMatchObject({ code: "LOCK_HELD" });
      await lock.assertHeld();
      await lock.release();

      await expect(lockOwner(parameters)).resolves.toBeUndefined();
      await expect(Lock.acquire(parameters, systemClock, "second")).resolves.toMatchObject({ epoch: 2 });
    });
  },
);
