import type { Cloud, Group } from "../rolling-update/cloud";
import type { Manifest, ManifestNode } from "../rolling-update/manifest";
import type { ClusterProbe } from "../rolling-update/probe";
import { roll } from "../rolling-update/roll";
import { RollError } from "../rolling-update/roll-error";
import { parseSettings } from "../rolling-update/settings";
import type { Process } from "../rolling-update/simulator/virtual-clock";
import type { Store } from "../rolling-update/store";

/** What an updater is given; each takes what it uses. */
export interface Bench {
  readonly cloud: Cloud;
  /** AWS as its own services see it: current, never throttled. */
  readonly inside: Cloud;
  readonly clock: Process;
  readonly manifest: Manifest;
  readonly store: Store;
  readonly probe: ClusterProbe;
}

/** Rolls the cluster and ends with an exit code: 0 claims that every node is on its target. */
export type Updater = (bench: Bench) => Promise<number>;

/** An updater that is a process of its own: virtual time passes only while `pass` awaits something for it. */
export interface OutsideUpdater {
  readonly outside: (bench: Bench, pass: <T>(promise: Promise<T>) => Promise<T | "still running">) => Promise<number>;
}

const MINUTE_MS = 60_000;

/**
 * The loop of the shell script that modules of single-instance groups commonly carry: wait until every group shows an
 * instance in service, compare version numbers, terminate, wait until the group shows one again. Any error while it waits
 * means "not yet"; any other error ends it.
 */
export const terminateAndPoll: Updater = async ({ cloud, clock, manifest }) => {
  const names = manifest.nodes.map(({ group }) => group);
  const inService = async (groups: readonly string[]) => {
    const described = await cloud.describeGroups(groups).catch((): readonly Group[] => []);
    return (
      described.length === groups.length && described.every(({ instances }) => instances[0]?.lifecycle === "InService")
    );
  };
  try {
    for (const name of names) {
      if (!(await waitFor(clock, 10 * MINUTE_MS, () => inService(names)))) return 1;
      const [group] = await cloud.describeGroups([name]);
      if (!versionNumbersDiffer(group)) continue;
      await cloud.terminate(group?.instances[0]?.id ?? "", false);
      if (!(await waitFor(clock, 10 * MINUTE_MS, () => inService([name])))) return 124;
    }
    return 0;
  } catch {
    return 255;
  }
};

/** What that loop takes for stale: two numbers that differ. What is no number is an error in Bash, and an error is not "differs". */
export function versionNumbersDiffer(group: Group | undefined): boolean {
  const wanted = Number(group?.template?.version);
  const running = Number(group?.instances[0]?.template?.version);
  return !Number.isNaN(wanted) && !Number.isNaN(running) && wanted !== running;
}

/** The loop that avoids the race for the interface by taking each group to zero and back. */
export const scaleToZero: Updater = async ({ cloud, clock, manifest }) => {
  const patiently = <T>(call: () => Promise<T>) => retry(clock, 20, call);
  const group = async ({ group: name }: ManifestNode) => {
    const [found] = await patiently(() => cloud.describeGroups([name]));
    if (!found) throw new Error(`no group ${name}`);
    return found;
  };
  try {
    for (const node of manifest.nodes) {
      const { template, instances, desired } = await group(node);
      if (desired !== 1) return 1;
      const target = await patiently(() => cloud.describeTemplate(template?.id ?? "", template?.version ?? "$Default"));
      const [old] = instances;
      if (!old || (old.template?.id === target.id && old.template.version === String(target.version))) continue;
      await patiently(() => cloud.resize(node.group, { min: 0, desired: 1 }));
      await patiently(() => cloud.terminate(old.id, true));
      const isEmpty = async () => (await group(node)).instances.length === 0;
      if (!(await waitFor(clock, 20 * MINUTE_MS, isEmpty))) return 1;
      await patiently(() => cloud.resize(node.group, { min: 1, desired: 1 }));
      const isBack = async () => (await group(node)).instances.some(({ lifecycle }) => lifecycle === "InService");
      if (!(await waitFor(clock, 20 * MINUTE_MS, isBack))) return 1;
    }
    return 0;
  } catch {
    return 1;
  }
};

/** An instance refresh started on every group, each by itself; AWS retries inside and gives up after an hour without progress. */
export const instanceRefresh: Updater = async ({ inside: cloud, clock, manifest }) => {
  const refresh = async (node: ManifestNode): Promise<boolean> => {
    const group = async () => (await cloud.describeGroups([node.group]))[0];
    const start = await group();
    if (start?.suspended.includes("Launch")) return false;
    const target = await cloud.describeTemplate(start?.template?.id ?? "", start?.template?.version ?? "$Default");
    const isCurrent = async () => {
      const members = (await group())?.instances ?? [];
      return (
        members.length === 1 &&
        members.every(
          ({ template, lifecycle }) =>
            lifecycle === "InService" && template?.id === target.id && template.version === String(target.version),
        )
      );
    };
    if (await isCurrent()) return true;
    const [old] = start?.instances ?? [];
    if (old) await cloud.terminate(old.id, false);
    return waitFor(clock, 60 * MINUTE_MS, isCurrent);
  };
  const ends = await Promise.all(manifest.nodes.map(refresh));
  return ends.every(Boolean) ? 0 : 1;
};

/** This project's. */
export const holdfast: Updater = async ({ cloud, clock, manifest, store, probe }) => {
  try {
    const outcome = await roll({ cloud, clock, store, probe, report: () => {} }, manifest, parseSettings(), {
      owner: "bench",
    });
    return outcome.status === "done" ? 0 : 1;
  } catch (error) {
    if (error instanceof RollError) return 1;
    throw error;
  }
};

async function waitFor(clock: Process, limitMs: number, condition: () => Promise<boolean>): Promise<boolean> {
  const deadlineMs = clock.now() + limitMs;
  while (clock.now() < deadlineMs) {
    if (await condition()) return true;
    await clock.sleep(5_000);
  }
  return false;
}

async function retry<T>(clock: Process, attempts: number, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (attempt === attempts) throw error;
      await clock.sleep(1_000);
    }
  }
}
