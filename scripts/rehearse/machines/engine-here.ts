import { missingCommands } from "../../test-tiers";
import { DOCKER } from "./docker";
import type { Engine } from "./engine";
import { PODMAN } from "./podman";

const ENGINES: readonly Engine[] = [PODMAN, DOCKER];

/** What an engine leaves to others. */
const BESIDE = ["ip", "iptables", "nsenter", "losetup", "flock"];

/** The first engine that this machine has: Podman before Docker. @throws Error naming what is missing */
export function engineHere(): Engine {
  const found = ENGINES.find(({ commands }) => missingOf(commands).length === 0);
  if (found === undefined) throw new Error(`containers need ${missingForContainers().join(", ")}`);
  return found;
}

/** What containers need and this machine lacks: programs, and root. Without any engine it is Podman that is missing. */
export function missingForContainers(): readonly string[] {
  const { commands } = ENGINES.find((engine) => missingOf(engine.commands).length === 0) ?? PODMAN;
  return missingCommands({ name: "", proves: "", commands: [...commands, ...BESIDE], asRoot: true });
}

const missingOf = (commands: readonly string[]) => missingCommands({ name: "", proves: "", commands });
