import { parseManifest } from "../../rolling-update/manifest";
import { type Act, CannotHappen, type Rehearsal } from "../rehearsal";
import { currentReleases, type Released, release } from "../release";
import { check, othersStayed } from "./checks";
import { reasonOf, rollCluster } from "./rolling";

/** A node config script that has been broken by its release. */
const BROKEN_SCRIPT = [
  'configure_cluster_node() { echo "rehearsed: this release cannot be configured" >&2; return 1; }',
  "wait_for_healthy_cluster() { return 1; }",
  "",
].join("\n");

/** A release that no node can boot: the roll stops at the first, and the release after it goes through. */
export const badConfig: Act = async (rehearsal, occasion) => {
  const [manifest, ...more] = rehearsal.clusters;
  if (manifest === undefined || more.length > 0) {
    throw new CannotHappen("bad-config is a release of one cluster's nodes, and this deployment is not one cluster");
  }
  const { watch } = rehearsal;
  const groups = manifest.nodes.map(({ group }) => group);
  const good = await currentReleases(rehearsal, groups);
  const before = new Map(watch.nodes.map(({ name, instance }) => [name, instance]));

  const { released, end } = await releaseBroken(rehearsal, groups);
  const bad = await rollCluster(rehearsal, manifest, released).finally(end);
  await watch.look();
  const touched = watch.nodes.filter(
    ({ name, instance, state }) => state !== "in service" || before.get(name) !== instance,
  );
  const names = touched.map(({ name }) => name);
  const checks = [
    check(
      bad.status === "failed" && bad.error !== undefined,
      `the roll stopped: ${bad.error ? reasonOf(bad.error) : ""}`,
      `the roll of a release that cannot boot ended as ${bad.status}`,
    ),
    check(names.length === 1, `it touched ${names.join()} alone`, `it touched ${names.join(", ") || "no node"}`),
    othersStayed(rehearsal, occasion, names),
  ];

  const healed = await rollCluster(rehearsal, manifest, await release(rehearsal, groups, good));
  const isWell = await watch.until(() => watch.allWell, rehearsal.deadlineMs);
  return [
    ...checks,
    check(
      healed.status === "done" && isWell,
      "the next release went through without a hand",
      `the next release: ${healed.error ? reasonOf(healed.error) : `${healed.status}, ${watch.serving} of ${watch.wanted} in service`}`,
    ),
  ];
};

interface Broken {
  readonly released: ReadonlyMap<string, Released>;
  /** Once no more of its boots are to fail. */
  readonly end: () => void;
}

/** Applies a script that fails, or where no script runs, has whatever boots next fail. */
async function releaseBroken(rehearsal: Rehearsal, groups: readonly string[]): Promise<Broken> {
  const { stage, written, terraform } = rehearsal;
  if (stage.failBoots) {
    const released = await release(rehearsal, groups, await currentReleases(rehearsal, groups));
    return { released, end: stage.failBoots() };
  }
  await written.writeScript(BROKEN_SCRIPT).catch((error: Error) => {
    throw new CannotHappen(error.message);
  });
  await terraform.apply();
  const manifests = written.manifests(await terraform.outputs()).map((text) => parseManifest(JSON.parse(text)));
  const released = manifests.flatMap(({ nodes }) =>
    nodes.flatMap(({ group, template }) => (template === undefined ? [] : [[group, template] as const])),
  );
  return { released: new Map(released), end: () => {} };
}
