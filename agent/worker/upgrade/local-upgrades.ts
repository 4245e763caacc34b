import { readFile } from "node:fs/promises";
import type { LocalConfig } from "../local-config";
import { watchDetached } from "./detached-watch";
import { type LinkedProgram, probeAgent, probeDaemon } from "./install";
import { linkedVersion } from "./linked-program";
import { releaseKey } from "./release-signature";
import { type UpgradePorts, Upgrades } from "./upgrades";

/** How a local agent upgrades itself and its daemon: whichever of the two is started through a link. */
export interface LocalUpgrades {
  /** Of the daemon that new jobs get, by its link; undefined where there is none. */
  readonly daemonVersion: string | undefined;
  readonly of: (ports: UpgradePorts) => Upgrades;
}

/**
 * @param program that this agent was started as.
 * @throws Error naming the setting that is wrong.
 */
export async function localUpgrades(
  { daemon, upgrade }: LocalConfig,
  directory: string,
  program: string,
): Promise<LocalUpgrades | undefined> {
  if (!upgrade) return undefined;
  const key = await readFile(upgrade.releaseKeyFile, "utf8")
    .then(releaseKey)
    .catch((error) => {
      throw new Error(`upgrade.releaseKeyFile: ${upgrade.releaseKeyFile} holds no Ed25519 public key in PEM`, {
        cause: error,
      });
    });
  const agentVersion = linkedVersion(program);
  const link = daemon.command.find((argument) => linkedVersion(argument) !== undefined);
  const daemonVersion = link && linkedVersion(link);
  if (agentVersion === undefined && daemonVersion === undefined) {
    throw new Error(
      `upgrade: neither ${program} nor daemon.command is a link into a folder of versions (versions/1.0.0/file)`,
    );
  }
  const commandOf = (file: string) => daemon.command.map((argument) => (argument === link ? file : argument));
  const programs: { agent?: LinkedProgram; daemon?: LinkedProgram } = {};
  if (agentVersion !== undefined) programs.agent = { link: program, version: agentVersion, probe: probeAgent };
  if (link !== undefined && daemonVersion !== undefined) {
    programs.daemon = { link, version: daemonVersion, probe: probeDaemon(commandOf) };
  }
  const props = {
    key,
    directory,
    gateMs: upgrade.gateSeconds * 1_000,
    programs,
    fetchRelease: (url: string, signal: AbortSignal) => fetch(url, { signal }),
  };
  return {
    daemonVersion,
    of: (ports) => new Upgrades({ ...props, watch: (agent) => watchDetached(agent, directory, ports.log) }, ports),
  };
}
