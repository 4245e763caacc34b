/** `npm run bench`: what things cost on this machine, each figure beside one to compare it with. */
import { Command } from "commander";
import type { Bench, Measurement } from "./bench/bench";
import { clusterPlan } from "./bench/cluster-plan";
import { imports } from "./bench/imports";
import { synth } from "./bench/synth";
import { agedStore } from "./bench-control-plane/aged-store";
import { claims } from "./bench-control-plane/claims";
import { connectionTests } from "./bench-control-plane/connection-tests";
import { createdToTold } from "./bench-control-plane/created-to-told";
import { heartbeats } from "./bench-control-plane/heartbeats";
import { lists } from "./bench-control-plane/lists";
import { move } from "./bench-control-plane/move";
import { notifications } from "./bench-control-plane/notifications";
import { parkedPolls } from "./bench-control-plane/parked-polls";
import { pinnedHorizon } from "./bench-control-plane/pinned-horizon";
import { reconnectStorm } from "./bench-control-plane/reconnect-storm";
import { rewrap } from "./bench-control-plane/rewrap";
import { secondServer } from "./bench-control-plane/second-server";
import { smallFleet } from "./bench-control-plane/small-fleet";
import { bundles } from "./bench-fleet/bundles";
import { fleet } from "./bench-fleet/fleet";
import { heartbeatPeriod } from "./bench-fleet/heartbeat-period";
import { jobLogs } from "./bench-fleet/job-logs";
import { labDensity } from "./bench-lab/lab-density";
import { examples, parse } from "./command-line";

const BENCHES: readonly Bench[] = [
  synth,
  imports,
  clusterPlan,
  bundles,
  fleet,
  heartbeatPeriod,
  jobLogs,
  claims,
  createdToTold,
  connectionTests,
  heartbeats,
  parkedPolls,
  reconnectStorm,
  smallFleet,
  lists,
  notifications,
  rewrap,
  move,
  secondServer,
  pinnedHorizon,
  agedStore,
  labDensity,
];
const names = BENCHES.map(({ name }) => name);

const program = new Command("npm run bench --")
  .description("Measure what things cost. Processor time and memory are the least of three runs.")
  .argument("[name...]", `the benches to run: ${names.join(", ")} (default: all)`)
  .option("--json", "print one JSON document instead of tables")
  .addHelpText("after", examples("npm run bench", "npm run bench -- synth --json"))
  .action(async (chosen: string[], { json = false }: { json?: boolean }, command: Command) => {
    const unknown = chosen.find((name) => !names.includes(name));
    if (unknown !== undefined) {
      command.error(`error: there is no bench '${unknown}'; there are ${names.join(", ")}`);
    }
    const results = [];
    for (const bench of BENCHES.filter(({ name }) => chosen.length === 0 || chosen.includes(name))) {
      const { name, about } = bench;
      const measurements = await bench.run((line) => console.error(`${name}: ${line}`));
      results.push({ name, about, measurements });
      if (!json) {
        console.log(`${name}: ${about}\n${table(measurements)}\n`);
      }
    }
    if (json) {
      console.log(JSON.stringify(results, null, 2));
    }
  });

void parse(program);

function table(measurements: readonly Measurement[]): string {
  const columns = [...new Set(measurements.flatMap(({ figures }) => Object.keys(figures)))];
  const width = Math.max(...measurements.map((measurement) => measurement.case.length)) + 2;
  const line = (name: string, cells: readonly string[]) =>
    `  ${name.padEnd(width)}${cells.map((text, index) => text.padStart(2 + Math.max(8, columns[index]?.length ?? 0))).join("")}`;
  return [
    line("", columns),
    ...measurements.map((row) =>
      line(
        row.case,
        columns.map((column) => figure(row.figures[column])),
      ),
    ),
  ].join("\n");
}

function figure(value: number | undefined): string {
  if (value === undefined) {
    return "";
  }
  return value < 10 ? value.toFixed(2) : Math.round(value).toLocaleString("en-US");
}
