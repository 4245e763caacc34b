/** `npm run chaos`: a whole fleet on this machine, hurt in every way for as long as one likes, and then held to its promises. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { examples, parse } from "../command-line";
import { Interrupts } from "../interrupts";
import { reportText } from "./report";
import { runChaos } from "./run";

const EXIT = { good: 0, broken: 1, notRun: 2, interrupted: 130 } as const;

interface Options {
  readonly minutes: number;
  readonly faults?: number;
  readonly seed?: number;
  readonly jobs: number;
  readonly copies: number;
  readonly json?: true;
  readonly keep?: true;
}

const whole = (text: string): number => {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("Write a whole number.");
  return Number(text);
};
const positive = (text: string): number => {
  const value = Number(text);
  if (!(value > 0 && value <= 10_000)) throw new InvalidArgumentError("Write a number above 0.");
  return value;
};
const copies = (text: string): number => {
  if (!/^[1-4]$/.test(text)) throw new InvalidArgumentError("Write a number from 1 to 4.");
  return Number(text);
};

const program = new Command("npm run chaos --")
  .description(
    "Run 3 workers, copies of the control plane and 3 PostgreSQL servers, kill, freeze and part them, and check that no row is lost and no job ran twice.",
  )
  .option("--minutes <n>", "how long faults are begun", positive, 1)
  .option("--faults <n>", "how many faults are begun, instead of how long", whole)
  .option("--seed <n>", "which faults (default: chosen, and printed)", whole)
  .option("--jobs <n>", "how many jobs", whole, 12)
  .option("--copies <n>", "how many copies of the control plane", copies, 2)
  .option("--json", "print the report as one JSON document; progress goes to standard error")
  .option("--keep", "keep the logs of all parts also when all is well")
  .addHelpText(
    "after",
    `
Ends with 0 when every promise was kept, 1 when one was broken, 2 when the fleet could not be run, 64 for a mistake in
the command line, 130 when it was interrupted before that was known.
${examples("npm run chaos -- --minutes 10 --seed 7", "npm run chaos -- --minutes 60 --copies 4", "npm run --silent chaos -- --faults 15 --jobs 6 --json")}`,
  )
  .action(run);

void parse(program);

async function run(options: Options): Promise<void> {
  const seed = options.seed ?? Math.floor(Math.random() * 1e9);
  const say = (line: string) => void (options.json ? process.stderr : process.stdout).write(`${line}\n`);
  const interrupted = new Interrupts().listen().first;
  const directory = mkdtempSync(join(tmpdir(), "holdfast-chaos-"));
  // PostgreSQL's own user has to pass; each secret in it is closed by itself.
  chmodSync(directory, 0o711);
  say(`seed ${seed}; logs in ${directory}`);
  try {
    const report = await runChaos({
      seed,
      size: { workers: 3, controlPlanes: options.copies, jobs: options.jobs },
      end: options.faults === undefined ? { afterMs: options.minutes * 60_000 } : { afterFaults: options.faults },
      directory,
      say,
      interrupted,
    });
    const isGood = report.violations.length === 0;
    const told = isGood && !options.keep ? report : { ...report, logs: directory };
    process.stdout.write(options.json ? `${JSON.stringify(told, null, 2)}\n` : `${reportText(told)}\n`);
    if (isGood && !options.keep) rmSync(directory, { recursive: true });
    process.exitCode = isGood ? EXIT.good : interrupted.aborted ? EXIT.interrupted : EXIT.broken;
  } catch (error) {
    const { message, cause } = error as Error;
    process.stderr.write(
      `the fleet could not be run: ${message}${cause ? ` (${String(cause)})` : ""}\nlogs: ${directory}\n`,
    );
    process.exitCode = EXIT.notRun;
  }
}
