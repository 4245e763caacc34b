import { randomUUID } from "node:crypto";
import { useControlPlane } from "./use-control-plane";

const plane = useControlPlane();

const counted = async () =>
  Number(/^holdfast_claimed_jobs_total (\d+)$/m.exec(await (await fetch(`${plane.url}/metrics`)).text())?.[1]);

it("counts a job that is granted once, though its claim is repeated, one after the other or at once", async () => {
  const worker = await plane.worker("i-1").open();
  const claim = (claimId: string) => worker.ask("claim", { claimId, freeSlots: 1, waitMs: 0 });
  await plane.operator.createJob("first");
  await plane.operator.createJob("second");

  const first = randomUUID();
  const answers = [await claim(first), await claim(first)];
  expect(answers.map(({ grants }) => grants.length)).toEqual([1, 1]);
  expect(await counted()).toBe(1);

  const second = randomUUID();
  const atOnce = await Promise.all([claim(second), claim(second), claim(second)]);
  expect(new Set(atOnce.flatMap(({ grants }) => grants.map(({ jobId }) => jobId))).size).toBe(1);
  expect(await counted()).toBe(2);
});
