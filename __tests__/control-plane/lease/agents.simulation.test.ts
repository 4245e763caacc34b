import { longForm } from "../../support/long-form";
import type { Outcome } from "./agents/fleet";
import { LEFT_OUT } from "./agents/rules";
import { runSchedule } from "./agents/schedule";
import { useVirtualProcesses } from "./agents/virtual-process";

/** Each leaves some 350 KB behind that Node.js keeps for signals which nobody aborts: as many as one process has room for. */
const SCHEDULES = longForm(250, 3_000);
const LEAVING = longForm(60, 1_000);

type Symptom = "overlaps" | "lost" | "unheeded" | "setBack";

/** What goes wrong where a rule is left out, and the schedule to begin with: where that is rare, one just before it. */
const NOTICED: Readonly<Record<(typeof LEFT_OUT)[number], { readonly by: Symptom; readonly from: number }>> = {
  "lease guard": { by: "overlaps", from: 0 },
  "guard without its agent": { by: "overlaps", from: 28 },
  adoption: { by: "overlaps", from: 0 },
  "wall clock": { by: "overlaps", from: 0 },
  margin: { by: "overlaps", from: 0 },
  "release report": { by: "lost", from: 0 },
  "orders to kill": { by: "overlaps", from: 2_212 },
  "restart grace": { by: "overlaps", from: 50 },
  "fence of reports": { by: "overlaps", from: 788 },
  "orders to stop": { by: "unheeded", from: 1 },
  "wish at the end": { by: "unheeded", from: 1 },
  "orders to drain": { by: "unheeded", from: 121 },
  "no work for the drained": { by: "unheeded", from: 25 },
  "last checkpoint": { by: "setBack", from: 1 },
  "lease of the gone": { by: "overlaps", from: 1 },
};
/** Within so many schedules it is noticed. */
const ENOUGH = 1_000;

useVirtualProcesses();

function faultsOf({ overlaps, lost, strays, unheeded, setBack, overturned, failures }: Outcome): string[] {
  return [
    ...overlaps,
    ...lost.map((jobId) => `${jobId} was lost`),
    ...strays.map((daemon) => `nobody knows of ${daemon}`),
    ...unheeded,
    ...setBack,
    ...failures.map((why) => `an agent ended: ${why}`),
    ...(overturned > 0 ? [`${overturned} ends, rests or wishes did not last`] : []),
  ];
}

describe("agents as they are shipped, before the coordinator", () => {
  it(`control-plane 1: no double run, no job lost, no end overturned, no order unheeded and no checkpoint lost in ${SCHEDULES} random schedules of crashes, pauses, suspensions, partitions, restarts and orders`, async () => {
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
      for (let seed = from; seed < from + ENOUGH; seed += 2) {
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
