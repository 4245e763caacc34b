import { drainedChecks } from "../fleet/fleet-checks";
import type { Act, Rehearsal } from "../rehearsal";
import { currentReleases, release } from "../release";
import type { Check } from "../story/happening";
import { check, outTogether } from "./checks";
import { reasonOf, refreshPool, rollCluster } from "./rolling";

/** A release of everything: clusters are rolled, pools refreshed. */
export const rollEvent: Act = async (rehearsal, occasion) => {
  const { clusters, watch } = rehearsal;
  const former = watch.nodes.flatMap(({ name, group, instance }) => (instance ? [{ name, group, instance }] : []));
  const groups = [...new Set(watch.nodes.map(({ group }) => group))];
  const released = await release(rehearsal, groups, await currentReleases(rehearsal, groups));
  const checks: Check[] = [];
  for (const manifest of clusters) {
    const { status, replaced, error } = await rollCluster(rehearsal, manifest, released);
    const text = `${manifest.cluster}: ${replaced.length} of ${manifest.nodes.length} nodes replaced`;
    checks.push(
      check(
        status === "done" && replaced.length === manifest.nodes.length,
        text,
        `${text}: ${error ? reasonOf(error) : status}`,
      ),
    );
  }
  for (const pool of poolsOf(rehearsal)) {
    const { status, error } = await refreshPool(rehearsal, pool);
    checks.push(check(status === "done", `${pool} was refreshed`, `${pool}: ${error ? reasonOf(error) : status}`));
  }
  const isWell = await watch.until(() => watch.allWell, rehearsal.deadlineMs);
  const kept = former.filter(({ instance }) => watch.nodes.some((node) => node.instance === instance));
  return [
    ...checks,
    check(isWell, "everything is in service", `${watch.serving} of ${watch.wanted} are in service`),
    check(
      kept.length === 0,
      "every node has another instance",
      `${kept.map(({ name }) => name).join(", ")} kept its instance`,
    ),
    ...(await drainedChecks(rehearsal, former)),
    ...(clusters.length === 0 ? [] : [outTogether(rehearsal, occasion, 1)]),
  ];
};

/** Groups of no cluster that have instances. */
export const poolsOf = ({ watch }: Rehearsal) => [
  ...new Set(watch.nodes.filter(({ isOfCluster }) => !isOfCluster).map(({ group }) => group)),
];
