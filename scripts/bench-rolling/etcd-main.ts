/** `npm run bench:etcd-roll`: a real etcd cluster rolled under writes, beside a killed leader. Needs `etcd` on PATH. */
import { Command } from "commander";
import { examples, parse } from "../command-line";
import { rollEtcd } from "./etcd-roll";

async function main(): Promise<void> {
  const { outcome, order, ledWhenDrained, acknowledged, lost, ...numbers } = await rollEtcd();
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(2)} s`;
  console.log(`roll of three nodes: ${outcome.status} in ${seconds(numbers.rollMs)}, order ${order.join(", ")}`);
  console.log(`leadership handed over by: ${ledWhenDrained.join(", ") || "nobody"}; new terms: ${numbers.termsOfRoll}`);
  console.log(`acknowledged writes: ${acknowledged}, lost: ${lost.length}`);
  console.log(`longest write gap, rolled: ${seconds(numbers.rollGapMs)}`);
  console.log(`longest write gap, leader killed: ${seconds(numbers.killGapMs)}`);
  console.log(`ratio: ${(numbers.killGapMs / numbers.rollGapMs).toFixed(1)}`);
}

const program = new Command("npm run bench:etcd-roll --")
  .description(
    "Roll a real etcd cluster under writes, then kill its leader, and print how long each kept writes from being acknowledged",
  )
  .addHelpText("after", `\nNeeds etcd on PATH.\n${examples("npm run bench:etcd-roll")}`)
  .action(main);

void parse(program);
