import { DescribeVolumesCommand } from "@aws-sdk/client-ec2";
import { manifestNodeOf, type Occasion, type Rehearsal } from "../rehearsal";
import type { Check } from "../story/happening";
import { asGroupsSee, mostNodesOut, outOfService } from "../story/service";
import { timeText } from "../story/time";

/** Waits until another instance stands for the node and everything is well; whether address and data came with it. */
export async function replacedChecks(rehearsal: Rehearsal, occasion: Occasion): Promise<readonly Check[]> {
  const { watch, story, deadlineMs } = rehearsal;
  const { name, instance: former } = occasion.node;
  const successor = () => {
    const now = watch.node(name);
    return now?.state === "in service" && now.instance !== former ? now.instance : undefined;
  };
  const isBack = await watch.until(() => successor() !== undefined && watch.allWell, deadlineMs);
  const took = timeText(story.elapsedMs - occasion.fromMs);
  if (!isBack) return [{ ok: false, text: `${name} is ${watch.node(name)?.state ?? "gone"} after ${took}` }];
  const instance = successor() ?? "";
  return [
    { ok: true, text: `${name} is in service again after ${took}, as ${instance}` },
    ...(await heldChecks(rehearsal, occasion, instance)),
  ];
}

/** Whether an instance has the address and the volumes of the node that it stands for. */
async function heldChecks(rehearsal: Rehearsal, { node }: Occasion, instanceId: string): Promise<readonly Check[]> {
  const known = manifestNodeOf(rehearsal, node);
  if (known === undefined) return [];
  const facts = await rehearsal.stage.aws.facts({ instanceId });
  const { Volumes = [] } = await rehearsal.ec2.send(new DescribeVolumesCommand({ VolumeIds: known.volumeIds }));
  const elsewhere = Volumes.filter(({ Attachments = [] }) => Attachments[0]?.InstanceId !== instanceId);
  return [
    check(
      facts?.privateIp === known.ip,
      `it has its address ${known.ip}`,
      `it has ${facts?.privateIp}, not ${known.ip}`,
    ),
    check(
      elsewhere.length === 0,
      `it has its data: ${known.volumeIds.join(", ")}`,
      `it lacks ${elsewhere.map(({ VolumeId }) => VolumeId).join(", ")}`,
    ),
  ];
}

/**
 * No node but those that were meant left service since the event began. Others may have been unwell: while a cluster elects a leader
 * none of its members is well.
 */
export function othersStayed(
  { story }: Pick<Rehearsal, "story">,
  { fromMs }: Pick<Occasion, "fromMs">,
  meant: readonly string[],
): Check {
  const othersIn = (happenings: typeof story.happenings) =>
    Object.entries(outOfService(happenings, fromMs, story.elapsedMs)).filter(([name]) => !meant.includes(name));
  const left = othersIn(asGroupsSee(story.happenings)).map(([name]) => name);
  const unwell = othersIn(story.happenings).map(([name, ms]) => `${name} was unwell for ${timeText(ms)}`);
  return check(
    left.length === 0,
    ["no other node left service", ...unwell].join("; "),
    `${left.join(", ")} left service too`,
  );
}

/** Never more nodes out of service than `most` since the event began. */
export function outTogether(
  { story }: Pick<Rehearsal, "story">,
  { fromMs }: Pick<Occasion, "fromMs">,
  most: number,
): Check {
  const out = mostNodesOut(asGroupsSee(story.happenings), fromMs, story.elapsedMs);
  const text = `at most ${out} ${out === 1 ? "node was" : "nodes were"} out of service at once`;
  return check(out <= most, text, `${text}; it should be ${most}`);
}

export const check = (ok: boolean, held: string, failed: string): Check => ({ ok, text: ok ? held : failed });
