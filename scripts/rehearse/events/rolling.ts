import { hostname, userInfo } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { instanceRefreshes } from "../../rolling-update/aws/instance-refreshes";
import { applicationOf } from "../../rolling-update/cli/application";
import { sdkConnection } from "../../rolling-update/cli/sdk-connection";
import { type Clock, systemClock } from "../../rolling-update/clock";
import { type FleetOutcome, follow } from "../../rolling-update/fleet/follow";
import type { Manifest } from "../../rolling-update/manifest";
import { roll } from "../../rolling-update/roll";
import { asRollError, type RollError } from "../../rolling-update/roll-error";
import type { Outcome, StopRequest } from "../../rolling-update/roll-ports";
import { parseSettings } from "../../rolling-update/settings";
import type { Rehearsal } from "../rehearsal";
import type { Released } from "../release";

/** Rolls a cluster as an operator would, and tells what is done to its nodes. */
export async function rollCluster(
  rehearsal: Rehearsal,
  manifest: Manifest,
  released: ReadonlyMap<string, Released>,
): Promise<Outcome> {
  const { story, stage, signal } = rehearsal;
  const { cloud, store, channel } = sdkConnection(manifest, { endpoint: stage.aws.url });
  const settings = parseSettings(rehearsal.settings);
  const nodes = manifest.nodes.map((node) => ({ ...node, template: released.get(node.group) ?? node.template }));
  const stop: StopRequest = { level: "go on" };
  const abort = () => {
    stop.level = "now";
  };
  signal.addEventListener("abort", abort);
  try {
    return await roll(
      {
        cloud,
        store,
        clock: systemClock,
        ...applicationOf(settings, { nodes, clock: systemClock, channel }),
        report: ({ kind, node, phase = "", reason = "" }) => {
          if (node === undefined || kind !== "phase") return;
          const over = phase === "done" || phase === "failed";
          const name = nameOf(rehearsal, nodes.find(({ id }) => id === node)?.group ?? "");
          const text = `${name}: ${phase}${reason === "" ? "" : `: ${reason}`}`;
          story.tell({ kind: "rolling", node: name, phase, over, text });
        },
      },
      {
        ...manifest,
        nodes: nodes.map(({ template, ...node }) => (template === undefined ? node : { ...node, template })),
      },
      settings,
      { owner: `${userInfo().username}@${hostname()} (rehearsal)`, stop },
    );
  } catch (error) {
    return { status: "failed", replaced: [], error: asRollError(error) };
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Has AWS replace the instances of a pool, and follows it to its end. */
export async function refreshPool(
  { stage, region, story, deadlineMs }: Rehearsal,
  group: string,
): Promise<FleetOutcome> {
  const refreshes = instanceRefreshes({ region, endpoint: stage.aws.url });
  const id = await refreshes.start(group, { minHealthyPercent: 50, warmupSeconds: 0 });
  const report = ({ percent, status }: { readonly percent: number; readonly status: string }) =>
    story.tell({ kind: "notice", text: `refresh of ${group}: ${status}, ${percent} %` });
  return follow({ refreshes, clock: HURRIED, report }, group, { id, appearMs: deadlineMs, timeoutMs: deadlineMs });
}

const HURRIED_MS = 250;

/** A rehearsal is over in seconds: nobody waits for it as for AWS. */
const HURRIED: Clock = { ...systemClock, sleep: (ms) => sleep(Math.min(ms, HURRIED_MS)) };

/** What a rehearsal calls the node of a group. */
const nameOf = ({ watch }: Rehearsal, group: string) => watch.nodes.find((node) => node.group === group)?.name ?? group;

/** An error of a roll in one line: with AWS's words, and the node agent's own, where the instance printed them before it ended. */
export function reasonOf({
  code,
  message,
  reason = "",
}: Pick<RollError, "code" | "message"> & Partial<Pick<RollError, "reason">>): string {
  const [first, ...printed] = reason.split("\n");
  const verdict = printed.filter((line) => line.startsWith("holdfast-node: ")).at(-1);
  return [`${code}: ${message}`, first, verdict].filter(Boolean).join("; ");
}
