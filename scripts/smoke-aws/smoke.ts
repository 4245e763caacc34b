import { rollCommand } from "../rolling-update/cli/roll-command";
import type { Connected, Surroundings } from "../rolling-update/cli/surroundings";
import { type Cloud, MUTATIONS } from "../rolling-update/cloud";
import { intercept } from "../rolling-update/intercept";
import { type Manifest, manifestFrom } from "../rolling-update/manifest";
import { type Observations, Observer } from "./observer";

const SIX_WEEKS_MS = 42 * 24 * 3_600_000;

export interface SmokeOptions {
  /** File with the manifest of the cluster. */
  readonly cluster: string;
  /** The one node to replace. @default - none: nothing is changed */
  readonly replace?: string;
  /** Options of `roll run`. */
  readonly options: readonly string[];
}

export interface SmokeReport {
  readonly passed: boolean;
  readonly plan: { readonly exitCode: number; readonly said: unknown };
  readonly roll?: { readonly exitCode: number; readonly said: unknown };
  /** What AWS said of launches into an interface that was in use, in six weeks, and how far apart the group tried them. */
  readonly launchesIntoUsedInterface: readonly {
    readonly group: string;
    readonly message: string;
    readonly startedMs: number;
  }[];
  readonly observations: Observations;
  /** What this cannot settle. */
  readonly open: readonly string[];
}

const OPEN = [
  "LaunchInstances with an interface in the launch template: nothing here calls it",
  "what `terraform plan` says while Launch is suspended by hand: suspend it, plan, resume it",
];

/** The commands themselves on a real account: a plan that changes nothing, and where it is asked for, one node replaced. */
export async function smoke(surroundings: Surroundings, given: SmokeOptions): Promise<SmokeReport> {
  const sixWeeksAgoMs = surroundings.clock.now() - SIX_WEEKS_MS;
  const observer = new Observer(surroundings.clock);
  const run = (args: string[], connect: Surroundings["connect"]) =>
    holdfast({ ...surroundings, connect }, [...args, "--cluster", given.cluster, "--json", ...given.options]);
  let reached: Cloud | undefined;
  const watched = (manifest: Manifest, roleArn: string | undefined): Connected => {
    const connected = surroundings.connect(manifest, roleArn);
    reached = connected.cloud;
    return { ...connected, cloud: observer.watch(connected.cloud) };
  };

  const plan = await run(["plan"], (manifest, roleArn) => readOnly(watched(manifest, roleArn)));
  const isPlanned = plan.exitCode === 0 || plan.exitCode === 2;
  const roll =
    isPlanned && given.replace !== undefined ? await run(["recover", given.replace, "--yes"], watched) : undefined;
  return {
    passed: isPlanned && (roll === undefined || roll.exitCode === 0),
    plan,
    ...(roll === undefined ? {} : { roll }),
    launchesIntoUsedInterface:
      isPlanned && reached ? await usedInterfaces(reached, manifestFrom(given.cluster), sixWeeksAgoMs) : [],
    observations: observer.observations(),
    open: OPEN,
  };
}

/** Runs `holdfast roll …`: its code, and the last thing that it said. Events go where they always go. */
async function holdfast(surroundings: Surroundings, args: string[]): Promise<{ exitCode: number; said: unknown }> {
  let exitCode = -1;
  let said = "";
  const stdout = new Proxy(surroundings.stdout, {
    get: (stream, name) =>
      name !== "write"
        ? Reflect.get(stream, name)
        : (text: string) => {
            said = text;
            return stream.write(text);
          },
  });
  const command = rollCommand({ ...surroundings, stdout }, (code) => {
    exitCode = code;
  });
  await command.parseAsync(args, { from: "user" });
  return { exitCode, said: said === "" ? undefined : JSON.parse(said) };
}

/** A change is refused here already, whatever the credentials allow. */
function readOnly({ cloud, store, channel }: Connected): Connected {
  const refuse = (what: string) => Promise.reject(new Error(`a plan changes nothing, and this one called ${what}`));
  const changes: readonly string[] = MUTATIONS;
  return {
    cloud: intercept(cloud, (method, call) => (changes.includes(method) ? refuse(method) : call())),
    store: intercept(store, (method, call) => (method === "list" ? call() : refuse(method))),
    channel,
  };
}

async function usedInterfaces(cloud: Cloud, manifest: Manifest, sinceMs: number) {
  const found: SmokeReport["launchesIntoUsedInterface"][number][] = [];
  for (const { group } of manifest.nodes) {
    for (const { message, startedMs } of await cloud.describeActivities(group, sinceMs)) {
      if (/ in use\b/.test(message)) found.push({ group, message, startedMs });
    }
  }
  return found;
}
