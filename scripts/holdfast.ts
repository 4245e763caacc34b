import { Command } from "commander";
import { operatorCommands } from "./operator/commands";
import { rehearseCommand } from "./rehearse/rehearse-command";
import { awsSurroundings } from "./rolling-update/cli/aws-surroundings";
import { parse } from "./rolling-update/cli/parse";
import { rollCommand } from "./rolling-update/cli/roll-command";

const exit = (code: number) => {
  process.exitCode = code;
};

/** The `holdfast` command line: one file per group of commands. */
const GROUPS: readonly Command[] = [
  rollCommand(awsSurroundings, exit),
  ...operatorCommands({
    environment: process.env,
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    exit,
  }),
  rehearseCommand({ stdout: process.stdout, stderr: process.stderr, exit }),
];

async function main(): Promise<void> {
  const program = new Command("holdfast").description("worker fleets and stateful nodes on AWS");
  for (const group of GROUPS) program.addCommand(group);
  await parse(program);
}

void main();
