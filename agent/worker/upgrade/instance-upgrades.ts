import { existsSync } from "node:fs";
import { readlink } from "node:fs/promises";
import { dirname } from "node:path";
import type { Aws } from "../../host/aws";
import type { WorkerConfig } from "../config";
import { PATHS } from "../paths";
import { type LinkedProgram, probeAgent, probeDaemon } from "./install";
import { linkedVersion } from "./linked-program";
import type { Upgradable } from "./prepare";
import { releaseFetch } from "./release-fetch";
import { releaseKey } from "./release-signature";
import { type UpgradePorts, Upgrades } from "./upgrades";

/** What can be upgraded on an instance. */
export const UPGRADABLE = {
  agent: { installed: PATHS.agent, link: PATHS.upgradedAgent },
  daemon: { installed: PATHS.daemon, link: PATHS.upgradedDaemon },
} as const satisfies Readonly<Record<string, Upgradable>>;

/** What runs a job that starts now. */
export function daemonProgram(): string {
  return existsSync(PATHS.upgradedDaemon) ? PATHS.upgradedDaemon : PATHS.daemon;
}

/** Of the daemon that new jobs get: the folder that its link points into; "none" where no daemon was installed. */
export async function daemonVersion(): Promise<string> {
  return (await readlink(daemonProgram()).catch(() => "none")).split("/").at(-2) ?? "none";
}

/**
 * How an instance's agent upgrades itself and its daemon, beside what the boot has installed. Trials are watched by a unit that comes with
 * every start of the agent.
 *
 * @throws Error when the fleet's release key is none.
 */
export function instanceUpgrades(config: WorkerConfig, aws: Pick<Aws, "getObject">) {
  const { upgrade } = config;
  const linked = ({ link }: Upgradable, probe: LinkedProgram["probe"]): LinkedProgram | undefined => {
    const version = linkedVersion(link);
    return version === undefined ? undefined : { link, version, probe, folder: dirname(link) };
  };
  const agent = linked(UPGRADABLE.agent, probeAgent);
  const daemon = linked(
    UPGRADABLE.daemon,
    probeDaemon((file) => [file]),
  );
  const props = {
    key: upgrade?.releaseKey ? releaseKey(upgrade.releaseKey) : undefined,
    directory: PATHS.upgrades,
    gateMs: (upgrade?.gateSeconds ?? 60) * 1_000,
    programs: { ...(agent && { agent }), ...(daemon && { daemon }) },
    fetchRelease: releaseFetch(aws, [config.agentRelease, ...(config.daemonRelease ? [config.daemonRelease] : [])]),
    watch: () => {},
  };
  return (ports: UpgradePorts) => new Upgrades(props, ports);
}
