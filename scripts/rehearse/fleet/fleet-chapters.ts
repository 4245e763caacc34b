import type { Chapters } from "../chapters";
import type { Deployment } from "../deployment/deployment";
import type { Rehearsal } from "../rehearsal";
import type { Stage } from "../stage/stage";
import { type Fleet, openFleet } from "./fleet";
import { replicatingChecks, rowsChecks } from "./fleet-checks";

/** Brings what the workers of a deployment dial to, where any run. @returns undefined where that failed */
export async function bringFleet(
  { deployment, stage }: { readonly deployment: Deployment; readonly stage: Stage },
  chapters: Chapters,
): Promise<{ readonly fleet: Fleet | undefined } | undefined> {
  const { name, region, workers } = deployment;
  const { lab, aws } = stage;
  if (lab === undefined || workers === undefined || "obstacle" in workers) return { fleet: undefined };
  return await chapters.tell("control plane", async () => {
    const fleet = await openFleet({ lab, url: aws.url, region, name, needs: workers.needs });
    const text = `a control plane is at ${fleet.dials.controlPlaneUrl}, and ${fleet.replication.jobCount} jobs are to come`;
    return { made: { fleet }, checks: [{ ok: true, text }] };
  });
}

/** Gives a fleet its jobs, once every worker waits for one. @returns whether events may begin */
export async function beginJobs({ fleet, deadlineMs }: Rehearsal, chapters: Chapters): Promise<boolean> {
  if (fleet === undefined || fleet.replication.jobCount === 0) return true;
  const replicate = await chapters.tell("jobs", async () => {
    await fleet.replication.begin();
    const checks = await replicatingChecks(fleet, deadlineMs);
    if (checks.every(({ ok }) => ok)) await fleet.replication.write();
    return { made: true, checks };
  });
  return replicate === true;
}

/** After the last event: whether everything arrived, once. */
export async function compareRows({ fleet, deadlineMs, signal }: Rehearsal, chapters: Chapters): Promise<void> {
  if (fleet === undefined || fleet.replication.jobCount === 0) return;
  const within = { withinMs: deadlineMs, signal };
  await chapters.tell("rows", async () => ({ made: undefined, checks: await rowsChecks(fleet, within) }));
}
