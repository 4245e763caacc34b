import { type Activity, type AutoScalingClient, DescribeScalingActivitiesCommand } from "@aws-sdk/client-auto-scaling";
import type { Replication } from "./replication";

/** How a worker left that its group had decided to end. */
export interface Drain {
  /** From the decision to the worker's goodbye, which it says when its last job is given back; undefined where it never said it. */
  readonly tookMs: number | undefined;
  /** From the decision to the instance's end. */
  readonly endedMs: number;
}

/** A group's activities of a kind, such as "Terminating EC2 instance", by the instance. */
export async function activitiesOf(
  autoScaling: AutoScalingClient,
  group: string,
  kind: string,
): Promise<ReadonlyMap<string, Activity>> {
  const { Activities = [] } = await autoScaling.send(
    new DescribeScalingActivitiesCommand({ AutoScalingGroupName: group, MaxRecords: 100 }),
  );
  return new Map(
    Activities.flatMap((activity) => {
      const [what, id] = activity.Description?.split(": ") ?? [];
      return what !== kind || id === undefined ? [] : [[id, activity]];
    }),
  );
}

/** When a worker told the control plane that it holds nothing any more; null where it never did. */
export async function goodbyeOf(replication: Pick<Replication, "sessions">, worker: string): Promise<Date | null> {
  const lives = (await replication.sessions()).filter(({ workerId }) => workerId === worker);
  return lives.at(-1)?.closedAt ?? null;
}

/** @returns undefined as long as the group has not ended the worker */
export async function drainOf(
  autoScaling: AutoScalingClient,
  replication: Pick<Replication, "sessions">,
  group: string,
  worker: string,
): Promise<Drain | undefined> {
  const ending = (await activitiesOf(autoScaling, group, "Terminating EC2 instance")).get(worker);
  if (ending?.StatusCode !== "Successful") return undefined;
  const { StartTime: begun = new Date(0), EndTime: ended = new Date(0) } = ending;
  const goodbye = await goodbyeOf(replication, worker);
  return {
    tookMs: goodbye === null ? undefined : goodbye.getTime() - begun.getTime(),
    endedMs: ended.getTime() - begun.getTime(),
  };
}
