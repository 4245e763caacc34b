/** `npm start`: what this repository does, shown on its own examples. */
import { Command } from "commander";
import { applyToEmulator } from "./start/emulated-apply";
import { renderApply, renderStack } from "./start/report";
import { synthesizeAll } from "./start/synthesized";

const OUTDIR = "cdktf.out";

interface Options {
  readonly json?: boolean;
  readonly apply: boolean;
  readonly stack?: string;
}

async function start({ json = false, apply, stack: chosen }: Options, signal: AbortSignal): Promise<void> {
  const stacks = await synthesizeAll(OUTDIR, signal);
  if (!json) {
    console.log(stacks.map(renderStack).join("\n\n"));
    console.log(`\nTerraform JSON is in ${OUTDIR}/stacks. Deploy one: npx cdktf deploy ${stacks[0]?.name}\n`);
  }
  const stack = chosen === undefined ? stacks[0] : stacks.find(({ name }) => name === chosen);
  if (stack === undefined) {
    throw new Error(`there is no stack ${chosen}; there are ${stacks.map(({ name }) => name).join(", ")}`);
  }
  const progress = (step: string) => json || console.error(`… ${step}`);
  const emulated = apply
    ? await applyToEmulator(OUTDIR, stack.name, progress, signal)
    : { applied: false as const, skipped: "applying to an emulated AWS (--no-apply)" };
  console.log(json ? JSON.stringify({ stacks, emulated }, null, 2) : renderApply(emulated));
}

const options = new Command("npm start --")
  .description(
    "Synthesize every example deployment, sum each up, and apply one to an emulated AWS where there are the tools.",
  )
  .option("--json", "print one JSON document instead of text")
  .option("--stack <name>", "the stack to apply (default: the first)")
  .option("--no-apply", "only synthesize and sum up")
  .addHelpText(
    "after",
    "\nExamples:\n  npm start\n  npm start -- --stack content-backup\n  npm start -- --no-apply --json",
  )
  .parse()
  .opts<Options>();

const interrupted = new AbortController();
process.once("SIGINT", () => interrupted.abort());
process.once("SIGTERM", () => interrupted.abort());

start(options, interrupted.signal).catch((error: unknown) => {
  console.error(interrupted.signal.aborted ? "interrupted; nothing is left running" : String((error as Error).message));
  process.exitCode = interrupted.signal.aborted ? 130 : 1;
});
