import type { Clock } from "./clock";
import { type Cloud, CloudError } from "./cloud";
import type { ManifestNode } from "./manifest";
import type { Drain, DrainTarget } from "./probe";
import type { Action, NodeFacts, Replacement } from "./replacement";
import type { Settings } from "./settings";

/** Carries out what a step asks for. Every action may be repeated. */
export class Actions {
  readonly #drains = new Map<string, NodeFacts["drain"]>();

  constructor(
    private readonly cloud: Cloud,
    private readonly clock: Clock,
    private readonly drain: Drain | undefined,
    private readonly settings: Settings,
  ) {}

  drainOf(nodeId: string): NodeFacts["drain"] {
    return this.drain === undefined ? "none" : (this.#drains.get(nodeId) ?? "not started");
  }

  async perform(action: Action, node: ManifestNode, replacement: Replacement): Promise<void> {
    switch (action.do) {
      case "drain":
        this.#startDrain(node, replacement);
        return;
      case "undrain":
        await this.#undrain(node, replacement);
        return;
      case "hold":
        return this.#hold(node, replacement);
      case "release":
        return this.release(node, replacement);
      case "terminate":
        return this.#terminate(action.instanceId, replacement);
      case "abandon":
        return this.#abandon(node, action.hook, action.instanceId, replacement);
      case "heartbeat":
        return ignoring(() => this.cloud.heartbeat(node.group, action.hook, action.instanceId), NO_ACTIVE_HOOK);
    }
  }

  /** Lets the group launch again. */
  async release(node: ManifestNode, { strategy }: Replacement): Promise<void> {
    if (strategy === "suspend-launch") await this.cloud.resumeLaunch(node.group);
    if (strategy === "scale-zero") await this.cloud.resize(node.group, { min: 1, desired: 1 });
  }

  async #hold(node: ManifestNode, { strategy }: Replacement): Promise<void> {
    if (strategy === "suspend-launch") await this.cloud.suspendLaunch(node.group);
    if (strategy === "scale-zero") await this.cloud.resize(node.group, { min: 0, desired: 1 });
  }

  /** Through the group, so that its hooks run and it knows; an instance the group no longer lists has gone. */
  #terminate(instanceId: string, { strategy }: Replacement): Promise<void> {
    return ignoring(() => this.cloud.terminate(instanceId, strategy === "scale-zero"), NO_SUCH_INSTANCE);
  }

  /** An instance that left its hook meanwhile is terminated like any other. */
  async #abandon(node: ManifestNode, hook: string, instanceId: string, replacement: Replacement): Promise<void> {
    try {
      await this.cloud.abandon(node.group, hook, instanceId);
    } catch (error) {
      if (!(error instanceof CloudError) || !NO_ACTIVE_HOOK.test(error.message)) throw error;
      await this.#terminate(instanceId, replacement);
    }
  }

  /** The drain runs beside the turns, which go on watching; its end is seen by the next turn. */
  #startDrain(node: ManifestNode, replacement: Replacement): void {
    this.#drains.set(node.id, "running");
    this.drain?.drain(targetOf(node, replacement)).then(
      () => this.#drains.set(node.id, "done"),
      (error) => this.#drains.set(node.id, { failed: error instanceof Error ? error.message : String(error) }),
    );
  }

  /** A failing undrain must not hide why the drain failed; it gets as long as the drain. */
  async #undrain(node: ManifestNode, replacement: Replacement): Promise<void> {
    this.#drains.delete(node.id);
    const undrained = this.drain?.undrain(targetOf(node, replacement)).catch(() => {});
    await Promise.race([undrained, this.clock.sleep(Math.min(this.settings.drainTimeoutMs, UNDRAIN_LIMIT_MS))]);
  }
}

const UNDRAIN_LIMIT_MS = 25_000;
const NO_ACTIVE_HOOK = /No active Lifecycle Action/i;
const NO_SUCH_INSTANCE = /not found|No managed instance/i;

async function ignoring(call: () => Promise<void>, harmless: RegExp): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof CloudError) || !harmless.test(error.message)) throw error;
  }
}

function targetOf(node: ManifestNode, replacement: Replacement): DrainTarget {
  return { nodeId: node.id, instanceId: replacement.oldInstance ?? "", ip: node.ip, group: node.group };
}
