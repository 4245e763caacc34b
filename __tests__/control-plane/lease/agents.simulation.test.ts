import { longForm } from "../../support/long-form";
import { LEFT_OUT, type LeftOut } from "./agents/rules";
import { type Outcome, runSchedule } from "./agents/schedule";
import { useVirtualProcesses } from "./agents/virtual-process";

const SCHEDULES = longForm(250, 100_000);
const LEAVING = longForm(60, 10_000);

/** What goes wrong where a rule is left out, and the schedule to begin with: where that is rare, one just before it. */
const NOTICED: Readonly<Record<LeftOut, { readonly by: "overlaps" | "lost"; readonly from: number }>> = {
  "lease guard": { by: "overlaps", from: 0 },
  "guard without its agent": { by: "overlaps", from: 0 },
  adoption: { by: "overlaps", from: 0 },
  "wall clock": { by: "overlaps", from: 0 },
  margin: { by: "overlaps", from: 0 },
  "release report": { by: "lost", from: 0 },
  "orders to kill": { by: "overlaps", from: 200 },
  "restart grace": { by: "overlaps", from: 0 },
  "fence of reports": { by: "overlaps", from: 270 },
};
/** Within so many schedules it is noticed. */
const ENOUGH = 1_000;

useVirtualProcesses();

function faultsOf({ overlaps, lost, strays, overturned, failures }: Outcome): string[] {
  return [
    ...overlaps,
    ...lost.map((jobId) => `${jobId} was lost`),
    ...strays.map((daemon) => `nobody knows of ${daemon}`),
    ...failures.map((why) => `an agent ended: ${why}`),
    ...(overturned > 0 ? [`${overturned} jobs that had ended did not stay so`] : []),
  ];
}

describe("agents as they are shipped, before the coordinator", () => {
  it(`control-plane 1: no double run, no job lost, no end overturned in ${SCHEDULES} random schedules of crashes, pauses, suspensions, partitions and restarts`, async () => {
    const seen = { starts: 0, ends: 0, lives: 0 };
    for (let seed = 0; seed < SCHEDULES; seed++) {
      const outcome = await runSchedule(seed);
      const faults = faultsOf(outcome);
      if (faults.length > 0) throw new Error(`in schedule ${seed} ${faults.join("; ")}\n${outcome.story()}`);
      for (const what of ["starts", "ends", "lives"] as const) seen[what] += outcome[what];
    }
    expect(seen.starts).toBeGreaterThan(5 * SCHEDULES);
    expect(seen.ends).toBeGreaterThan(SCHEDULES / 10);
    expect(seen.lives).toBeGreaterThan(4 * SCHEDULES);
  }, 7_200_000);

  it(`control-plane 8: nor in ${LEAVING} in which agents are asked to go every few seconds`, async () => {
    for (let seed = 0; seed < LEAVING; seed++) {
      const outcome = await runSchedule(seed, undefined, 4_000);
      const faults = faultsOf(outcome);
      if (faults.length > 0) throw new Error(`in schedule ${seed} ${faults.join("; ")}\n${outcome.story()}`);
    }
  }, 7_200_000);

  it.each(LEFT_OUT)(
    "control-plane 2: the schedules notice when this is left out: %s",
    async (leftOut) => {
      const { by, from } = NOTICED[leftOut];
      for (let seed = from; seed < from + ENOUGH; seed++) {
        if ((await runSchedule(seed, leftOut))[by].length > 0) return;
      }
      throw new Error(`no ${by} in ${ENOUGH} schedules`);
    },
    600_000,
  );

  it("a seed gives the same schedule every time", async () => {
    const story = async () => (await runSchedule(17)).story().replace(/"sessionId":"[^"]*"/g, "");

    expect(await story()).toBe(await story());
  });
});
