import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pc from "picocolors";
import { missingCommands } from "../test-tiers";
import { findDeployment } from "./deployment/find";
import { NEED_INSIDE } from "./events/acts";
import { openOutput } from "./output";
import { rehearse } from "./run";
import { parseEvent } from "./scenario/event";
import { DEFAULT_SCENARIO, readScenario, type Scenario } from "./scenario/scenario";
import { openInstantStage } from "./stage/instant-stage";
import { tellLive } from "./story/live";
import { verdictOf } from "./story/markdown";
import { Story } from "./story/story";
import { timeText } from "./story/time";
import type { Surroundings } from "./surroundings";
import { WrongUse } from "./wrong-use";

/** What the shell is told. Stable: scripts and CI depend on them. */
export const EXIT = { well: 0, failed: 1, wrongUse: 2, interrupted: 130 } as const;

export interface RunFlags {
  readonly event?: readonly string[];
  readonly scenario?: string;
  readonly machines?: "none" | "container";
  readonly deadline?: number;
  readonly output?: string;
  readonly keep?: true;
  readonly json?: true;
}

/** `holdfast rehearse DEPLOYMENT`. @returns the exit code */
export async function runCommand(wanted: string, flags: RunFlags, { stdout, stderr }: Surroundings): Promise<number> {
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  for (const signal of SIGNALS) process.on(signal, interrupt);
  try {
    return await run(wanted, flags, stdout, stderr, interrupted.signal);
  } catch (error) {
    if (!(error instanceof WrongUse)) throw error;
    stderr.write(`${pc.red(error.message)}\n  next: ${error.next}\n`);
    return EXIT.wrongUse;
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

async function run(
  wanted: string,
  flags: RunFlags,
  stdout: NodeJS.WriteStream,
  stderr: NodeJS.WriteStream,
  signal: AbortSignal,
): Promise<number> {
  const deployment = findDeployment(wanted);
  const scenario = scenarioOf(flags);
  requireInside(scenario);
  requireTools();
  const startedAt = new Date().toISOString();
  const story = new Story();
  const output = openOutput(flags.output ?? join("rehearsal.out", deployment.name), story);
  const endLive = tellLive(story, stdout, flags.json === true);
  const stage = await openInstantStage();
  const remarks = [...NOTHING_RUNS];
  try {
    await rehearse({
      deployment,
      scenario,
      stage,
      story,
      output,
      remark: (text) => remarks.push(text),
      signal,
      ...(flags.keep && { afterwards: () => sleep(FOREVER_MS, undefined, { signal }).catch(() => undefined) }),
    });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    endLive();
    await stage.close();
  }
  const isWhole = !signal.aborted || flags.keep === true;
  const report = output.writeReport({
    deployment: deployment.name,
    machines: stage.machines,
    remarks,
    startedAt,
    interrupted: !isWhole,
  });
  stderr.write(`${verdictOf(report)} ${timeText(report.durationMs)}; ${join(output.directory, "report.md")}\n`);
  if (!isWhole) return EXIT.interrupted;
  return report.ok ? EXIT.well : EXIT.failed;
}

const FOREVER_MS = 2 ** 31 - 1;
const NOTHING_RUNS = ["Instances are records: no user data runs, and each boots in a second."];

function scenarioOf({ event, scenario: file, deadline }: RunFlags): Scenario {
  if (event !== undefined && file !== undefined) {
    throw new WrongUse("--event and --scenario exclude each other", "write the event into the scenario's events");
  }
  const scenario = file === undefined ? DEFAULT_SCENARIO : readScenario(file);
  return {
    ...scenario,
    ...(event && { events: event.map((text) => parseEvent(text, "--event")) }),
    ...(deadline !== undefined && { deadlineMs: deadline }),
  };
}

/** What cannot happen is said before anything is made. */
function requireInside({ events }: Scenario): void {
  const without = events.find(({ name }) => NEED_INSIDE.includes(name));
  if (without === undefined) return;
  throw new WrongUse(`${without.text}: needs an operating system to happen in`, "use --machines container");
}

function requireTools(): void {
  const missing = missingCommands({ name: "rehearse", proves: "", commands: ["terraform", "moto_server"] });
  if (missing.length === 0) return;
  const how = missing.map((command) => `${command}: ${WHERE[command]}`).join("; ");
  throw new WrongUse(`a rehearsal needs ${missing.join(" and ")}`, `install ${how}`);
}

const WHERE: Readonly<Record<string, string>> = {
  terraform: "https://developer.hashicorp.com/terraform/install",
  moto_server: "pip install 'moto[server]'",
};
