import { readdirSync, readFileSync } from "node:fs";
import { MemberProcess } from "../../../scripts/rolling-update/simulator/member-process";
import { eventually } from "../../support/running-cluster";

/** Says its pid, while others of its threads are busy. */
const BUSY = `
  const { Worker } = require("node:worker_threads");
  for (let index = 0; index < 4; index++) new Worker("for (;;);", { eval: true });
  setTimeout(() => console.log("pid " + process.pid), 100);`;

test("R11: a member that is held stands still with all its threads, however busy they are", async () => {
  const member = new MemberProcess({ command: process.execPath, args: ["-e", BUSY] });
  member.start();
  try {
    let pid = "";
    await eventually(async () => {
      pid = /pid (\d+)/.exec(member.output)?.[1] ?? "";
      return pid ? undefined : "it has not said its pid";
    });
    for (let round = 0; round < 20; round++) {
      await member.hold();
      const states = readdirSync(`/proc/${pid}/task`).map((thread) => {
        const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
        return stat.slice(stat.lastIndexOf(")") + 2)[0];
      });
      expect(states.length).toBeGreaterThan(4);
      expect(new Set(states)).toEqual(new Set(["T"]));
      member.goOn();
    }
  } finally {
    await member.dispose();
  }
}, 60_000);
