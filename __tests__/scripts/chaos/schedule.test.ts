import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FAULT_KINDS, describe as inWords, links, type Step, schedule } from "../../../scripts/chaos/schedule";

const SIZE = { workers: 3, controlPlanes: 2, jobs: 12 };

function steps(seed: number, count: number): Step[] {
  const endless = schedule(seed, SIZE);
  return Array.from({ length: count }, () => endless.next().value);
}

test("the same seed gives the same faults, another one gives others", () => {
  expect(steps(7, 200)).toEqual(steps(7, 200));
  expect(steps(8, 200)).not.toEqual(steps(7, 200));
});

test("the first faults show every kind once", () => {
  for (const seed of [1, 2, 3]) {
    const kinds = steps(seed, FAULT_KINDS.length).map(({ fault }) => fault.kind);
    expect(kinds.sort()).toEqual([...FAULT_KINDS].sort());
  }
});

test("the page tells of every kind of fault", () => {
  const page = readFileSync(join(__dirname, "../../../docs/chaos.md"), "utf8");
  const [, table = ""] = /\| fault \| \|\n(.*?)\n\n/s.exec(page) ?? [];
  const told = table.split("\n").flatMap((row) => row.split("|")[1]?.match(/(?<=`)[a-z-]+(?=`)/g) ?? []);

  expect(told.sort()).toEqual([...FAULT_KINDS].sort());
});

test("every fault is aimed at something that is there, and every target is hit in the long run", () => {
  const words = new Set(steps(11, 5_000).map(({ fault }) => inWords(fault)));
  for (const worker of ["worker-1", "worker-2", "worker-3"]) {
    for (const kind of [
      "kill agent",
      "freeze machine",
      "freeze agent",
      "isolate worker",
      "drain worker",
      "roll agent",
    ]) {
      expect(words).toContain(`${kind} ${worker}`);
    }
  }
  expect(words).toContain("kill daemon of job-12");
  expect(words).toContain("kill control plane control-plane-2");
  expect(words).toContain("crash backend of sink");
  expect(words).toContain("cut worker-3 | control-plane-2");
  for (const word of words) expect(word).not.toMatch(/worker-[4-9]|control-plane-[3-9]|job-(00|1[3-9])|undefined/);
});

test("any two that talk can be parted", () => {
  // 3 workers reach 2 copies, the source and the sink; 2 copies reach the store
  expect(links(SIZE)).toHaveLength(3 * 4 + 2);
});
