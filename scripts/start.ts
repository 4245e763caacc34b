/** `npm start`: what this repository does, shown on its own examples and on this machine. */
import { resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { examples, parse } from "./command-line";
import { Interrupts } from "./interrupts";
import { applyToEmulator, type EmulatedApply } from "./start/emulated-apply";
import { renderApply, renderStack } from "./start/report";
import { synthesizeAll } from "./start/synthesized";
import { type RunOutcome, runFleet } from "./up/run";
import { type Screen, screen } from "./up/screen";
import { defaultStateFolder } from "./up/state-folder";

const OUTDIR = "cdktf.out";
const ROWS_OF_ONCE = 500;

interface Options {
  readonly json?: boolean;
  readonly apply: boolean;
  readonly stack?: string;
  readonly fleet: boolean;
  readonly state: string;
  readonly once?: boolean;
  readonly rows: number;
  readonly rate: number;
}

async function start(options: Options, interrupts: Interrupts): Promise<void> {
  const { json = false, apply, stack: chosen, once = false } = options;
  const signal = interrupts.first;
  const stacks = await synthesizeAll(OUTDIR, signal);
  const out = screen(json ? process.stderr : process.stdout);
  if (!json) {
    out.say(stacks.map(renderStack).join("\n\n"));
    out.say(`\nTerraform JSON is in ${OUTDIR}/stacks. Deploy one: npx cdktf deploy ${stacks[0]?.name}\n`);
  }
  const stack = chosen === undefined ? stacks[0] : stacks.find(({ name }) => name === chosen);
  if (stack === undefined) {
    throw new Error(`there is no stack ${chosen}; there are ${stacks.map(({ name }) => name).join(", ")}`);
  }
  const applied = new Once(async (): Promise<EmulatedApply> => {
    if (!apply) return { applied: false, skipped: "applying to an emulated AWS (--no-apply)" };
    const emulated = await applyToEmulator(OUTDIR, stack.name, (step) => out.say(`… ${step}`), signal);
    if (!json) out.say(renderApply(emulated));
    return emulated;
  });
  const fleet = options.fleet && (!json || once) ? await up(options, interrupts, out, applied) : undefined;
  if (signal.aborted) return;
  const emulated = await applied.result();
  if (json) console.log(JSON.stringify({ stacks, emulated, ...(fleet && { fleet }) }, null, 2));
}

/** Rows flow first; the emulated AWS, which takes longer to start, comes after them. */
async function up(
  options: Options,
  { first, second }: Interrupts,
  out: Screen,
  applied: Once<unknown>,
): Promise<RunOutcome> {
  const outcome = await runFleet({
    stateFolder: resolve(options.state),
    ordersPerSecond: options.rate,
    ...(options.once && { untilRows: options.rows }),
    screen: out,
    interrupted: first,
    abandoned: second,
    flowing: () => {
      applied.result().catch((error: Error) => first.aborted || out.say(`not applied: ${error.message}`));
    },
  });
  const { rowsIn, rowsOut, equal, firstRowMs } = outcome;
  const arrival =
    firstRowMs === null ? "no row arrived" : `the first row arrived after ${(firstRowMs / 1_000).toFixed(1)} s`;
  out.say(`stopped: ${rowsIn} rows in, ${rowsOut} out${equal ? ", the copy equals the shop" : ""}; ${arrival}`);
  out.say("npm start goes on from here");
  return outcome;
}

/** Work that is begun when it is first asked for, and once. */
class Once<T> {
  private promise: Promise<T> | undefined;

  constructor(private readonly work: () => Promise<T>) {}

  result(): Promise<T> {
    this.promise ??= this.work();
    return this.promise;
  }
}

const program = new Command("npm start --")
  .description(
    "Synthesize every example deployment, sum each up, and apply one to an emulated AWS where there are the tools. Bring up a local " +
      "fleet: PostgreSQL, the control plane, and two workers that copy a shop's orders from one database to another.",
  )
  .option("--json", "print one JSON document instead of text; without --once it holds no fleet")
  .option("--stack <name>", "the stack to apply (default: the first)")
  .option("--no-apply", "do not apply a stack")
  .option("--no-fleet", "do not bring up the local fleet")
  .option(
    "--state <folder>",
    "where the fleet keeps what the next start goes on from",
    defaultStateFolder(process.cwd()),
  )
  .option("--once", "end once rows have arrived and the copy equals the shop")
  .option("--rows <number>", "with --once: how many rows", parseWhole, ROWS_OF_ONCE)
  .option("--rate <number>", "orders a second", parseWhole, 20)
  .addHelpText(
    "after",
    examples(
      "npm start",
      "npm start -- --stack content-backup",
      "npm start -- --no-apply --once --rows 1000",
      "npm start -- --no-apply --json",
    ),
  )
  .action(run);

void parse(program);

function parseWhole(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError("write a whole number from 1 to 999999");
  return Number(text);
}

async function run(options: Options): Promise<void> {
  const interrupts = new Interrupts();
  interrupts.listen(() => interrupts.second.aborted && process.exit(130));
  try {
    await start(options, interrupts);
  } catch (error) {
    const { aborted } = interrupts.first;
    console.error(aborted ? "interrupted; nothing is left running" : String((error as Error).message));
    process.exitCode = aborted ? 130 : 1;
  }
}
