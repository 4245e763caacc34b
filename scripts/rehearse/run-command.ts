import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pc from "picocolors";
import { SIGNALS } from "../interrupts";
import { missingCommands } from "../test-tiers";
import { controlApp, serveControl } from "./control/control-server";
import { announce } from "./control/session";
import { findDeployment } from "./deployment/find";
import { NEED_INSIDE } from "./events/acts";
import { EXIT } from "./exit-codes";
import { openOutput } from "./output";
import { reported } from "./reported";
import { rehearse } from "./run";
import { parseEvent } from "./scenario/event";
import { DEFAULT_SCENARIO, readScenario, type Scenario } from "./scenario/scenario";
import { openContainerStage, packagesFor } from "./stage/container-stage";
import { openInstantStage } from "./stage/instant-stage";
import { type MachineKind, machinesFor } from "./stage/machine-kind";
import { tellLive } from "./story/live";
import { verdictOf } from "./story/markdown";
import { Story } from "./story/story";
import { timeText } from "./story/time";
import type { Surroundings } from "./surroundings";
import { WrongUse } from "./wrong-use";

export interface RunFlags {
  readonly event?: readonly string[];
  readonly scenario?: string;
  readonly machines?: MachineKind;
  readonly packages?: readonly string[];
  readonly image?: string;
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
    if (error instanceof WrongUse) {
      stderr.write(`${pc.red(error.message)}\n  next: ${error.next}\n`);
      return EXIT.wrongUse;
    }
    stderr.write(`${pc.red("the rehearsal itself failed")}: ${error instanceof Error ? error.stack : error}\n`);
    return EXIT.failed;
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}

async function run(
  wanted: string,
  flags: RunFlags,
  stdout: NodeJS.WriteStream,
  stderr: NodeJS.WriteStream,
  signal: AbortSignal,
): Promise<number> {
  const deployment = findDeployment(wanted);
  const scenario = scenarioOf(flags);
  const { kind, why } = machinesFor(flags.machines, { asked: wanted, workers: deployment.workers });
  requireInside(scenario, kind);
  requireContainers(flags, kind);
  requireTools();
  if (why !== undefined) stderr.write(`${why}\n`);
  const startedAt = new Date().toISOString();
  const story = new Story();
  const output = openOutput(flags.output ?? join("rehearsal.out", deployment.name), story);
  const endLive = tellLive(story, stdout, flags.json === true);
  const open = () => (kind === "none" ? openInstantStage() : openContainerStage(wantedImage(deployment.name, flags)));
  const told = { deployment: deployment.name, machines: kind, startedAt, remarks: REMARKS[kind] };
  try {
    const report = await reported(output, told, { signal, stays: flags.keep === true }, async (remark) => {
      story.tell({ kind: "notice", text: OPENING[kind] });
      const stage = await open();
      const ends: (() => unknown)[] = [stage.close];
      try {
        await rehearse({
          deployment,
          scenario,
          stage,
          story,
          output,
          remark,
          signal,
          begin: async (controlled) => {
            const control = await serveControl(controlApp(controlled));
            ends.unshift(await announce(deployment.name, control.url), control.stop);
          },
          ...(flags.keep && { afterwards: () => sleep(FOREVER_MS, undefined, { signal }).catch(() => undefined) }),
        });
      } finally {
        for (const end of ends) await end();
      }
    });
    stderr.write(`${verdictOf(report)} ${timeText(report.durationMs)}; ${join(output.directory, "report.md")}\n`);
    if (report.interrupted) return EXIT.interrupted;
    return report.ok ? EXIT.well : EXIT.failed;
  } finally {
    endLive();
  }
}

const FOREVER_MS = 2 ** 31 - 1;

/** What is under way before anything can be told of nodes. */
const OPENING: Readonly<Record<MachineKind, string>> = {
  none: "starts an emulated AWS",
  container: "starts an emulated AWS with containers; an image that is not there yet takes a minute or more to make",
};

const REMARKS: Readonly<Record<MachineKind, readonly string[]>> = {
  none: ["Instances are records: no user data runs, and each boots in a second."],
  container: [
    "Instances are containers of this machine: Debian, without a kernel of their own; images and instance types do not count.",
  ],
};

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
function requireInside({ events }: Scenario, kind: MachineKind): void {
  if (kind !== "none") return;
  const without = events.find(({ name }) => NEED_INSIDE.includes(name));
  if (without === undefined) return;
  throw new WrongUse(`${without.text}: needs an operating system to happen in`, "use --machines container");
}

function requireContainers({ image, packages }: RunFlags, kind: MachineKind): void {
  if (image !== undefined && packages !== undefined) {
    throw new WrongUse("--image and --packages exclude each other", "have the packages in the image");
  }
  if (image === undefined || kind === "container") return;
  throw new WrongUse(`--image ${image}: nothing boots it with --machines none`, "use --machines container");
}

const wantedImage = (deployment: string, { image, packages }: RunFlags) =>
  image === undefined ? { packages: packagesFor(deployment, packages) } : { image };

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
