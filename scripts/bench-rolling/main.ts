/** `npm run bench:rolling`: the tables of docs/rolling-update.md, measured in the simulator, the same on every machine. */
import { readFileSync, writeFileSync } from "node:fs";
import { Command } from "commander";
import { examples, parse } from "../command-line";
import { placeInPage } from "../place-in-page";
import { faultsOf } from "./compare";
import { overheadOf } from "./overhead";
import { SCENARIOS } from "./scenarios";
import { shellLoop } from "./shell/shell-loop";
import {
  holdfast,
  instanceRefresh,
  type OutsideUpdater,
  scaleToZero,
  terminateAndPoll,
  type Updater,
} from "./updaters";

const UPDATERS: readonly (readonly [string, Updater | OutsideUpdater])[] = [
  ["terminate and poll", terminateAndPoll],
  ["the same as a Bash process", shellLoop],
  ["scale to zero", scaleToZero],
  ["instance refresh per group", instanceRefresh],
  ["holdfast", holdfast],
];
const DOCUMENT = "docs/rolling-update.md";

async function comparison(): Promise<string> {
  const passed = UPDATERS.map(() => 0);
  const rows: string[] = [];
  for (const scenario of SCENARIOS) {
    const cells: string[] = [];
    for (const [index, [, updater]] of UPDATERS.entries()) {
      if (scenario.second && "outside" in updater) {
        cells.push("not run: two processes cannot share virtual time");
        continue;
      }
      const faults = await faultsOf(updater, scenario);
      if (faults.length === 0) passed[index] = (passed[index] ?? 0) + 1;
      cells.push(faults.length === 0 ? "ok" : faults.join("; "));
    }
    rows.push(row([scenario.name, ...cells]));
  }
  return [
    row(["scenario", ...UPDATERS.map(([name]) => name)]),
    row(["---", ...UPDATERS.map(() => "---")]),
    ...rows,
    row(["**passed**", ...passed.map((count) => `**${count} of ${SCENARIOS.length}**`)]),
  ].join("\n");
}

async function overhead(): Promise<string> {
  const rows: string[] = [];
  for (const nodes of [5, 50, 150]) {
    const { perNodeMs, floorMs, callsPerNode } = await overheadOf(nodes);
    const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
    rows.push(
      row([
        String(nodes),
        seconds(perNodeMs),
        seconds(floorMs),
        seconds(perNodeMs - floorMs),
        (perNodeMs / floorMs).toFixed(2),
        callsPerNode.toFixed(0),
      ]),
    );
  }
  return [
    row(["nodes", "per node", "AWS and the node alone", "added", "ratio", "API calls per node"]),
    row(["---", "---", "---", "---", "---", "---"]),
    ...rows,
  ].join("\n");
}

const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;

async function main(): Promise<void> {
  const tables = { comparison: await comparison(), overhead: await overhead() };
  let document = readFileSync(DOCUMENT, "utf8");
  for (const [name, text] of Object.entries(tables)) {
    document = placeInPage(document, name, text);
    console.log(`${text}\n`);
  }
  writeFileSync(DOCUMENT, document);
}

const program = new Command("npm run bench:rolling --")
  .description(`Measure the tables of ${DOCUMENT} anew, in the simulator, and write them there`)
  .addHelpText("after", examples("npm run bench:rolling"))
  .action(main);

void parse(program);
