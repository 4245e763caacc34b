import { systemClock } from "../../scripts/rolling-update/clock";
import type {
  ClusterAdapter,
  MemberSettings,
  Surroundings,
} from "../../scripts/rolling-update/clusters/cluster-adapter";
import { ChannelError, type NodeChannel } from "../../scripts/rolling-update/node-channel";
import { memberSettingsWithin, nodesAt, PATIENCE_MS, type RunningCluster, stopsAndStarts } from "./running-cluster";

/** Three members in memory that elect the first of them that runs, as long as two do. */
export class FakeMembers {
  readonly #running = new Set([0, 1, 2]);
  readonly #held = new Set<number>();
  leader: number | undefined = 0;

  get all(): readonly number[] {
    return [0, 1, 2];
  }

  isRunning(member: number): boolean {
    return this.#running.has(member);
  }

  isHeld(member: number): boolean {
    return this.#held.has(member);
  }

  /** It runs, answers, and can reach a majority. */
  serves(member: number): boolean {
    return this.isRunning(member) && !this.isHeld(member);
  }

  change(member: number, state: "running" | "stopped" | "held"): void {
    this.#held.delete(member);
    if (state === "stopped") this.#running.delete(member);
    else this.#running.add(member);
    if (state === "held") this.#held.add(member);
    const leads = this.leader !== undefined && this.serves(this.leader) && this.#able().length >= 2;
    if (!leads) this.elect();
  }

  elect(not?: number): void {
    const able = this.#able();
    this.leader = able.length >= 2 ? able.find((member) => member !== not) : undefined;
  }

  #able(): readonly number[] {
    return this.all.filter((member) => this.serves(member));
  }
}

/** A cluster of fakes whose programs are answered by `run`, for members that serve. */
export function fakeCluster(
  run: (members: FakeMembers, member: number, command: readonly string[]) => string,
  adapter: (surroundings: Surroundings, member: MemberSettings) => ClusterAdapter,
): RunningCluster {
  const members = new FakeMembers();
  const nodes = nodesAt(["10.0.0.10", "10.0.0.11", "10.0.0.12"]);
  const service = stopsAndStarts({
    stop: (id) => members.change(Number(id), "stopped"),
    start: (id) => members.change(Number(id), "running"),
  });
  const channel: NodeChannel = {
    run: async (nodeId, command, timeoutMs) => {
      if (command.length === 1) return service.run(nodeId, command, timeoutMs);
      const member = Number(nodeId);
      if (members.isHeld(member)) {
        await new Promise((resolve) => setTimeout(resolve, timeoutMs).unref());
        throw new ChannelError(nodeId, command, `no end after ${timeoutMs} ms`);
      }
      if (!members.isRunning(member)) throw new ChannelError(nodeId, command, "ended with 1: connection refused");
      try {
        return run(members, member, command);
      } catch (error) {
        throw new ChannelError(nodeId, command, `ended with 1: ${(error as Error).message}`);
      }
    },
  };
  const adapterWithin = (timeoutMs: number) =>
    adapter({ nodes, clock: systemClock, channel }, memberSettingsWithin(timeoutMs));
  return {
    nodes,
    adapter: adapterWithin(PATIENCE_MS),
    adapterWithin,
    kill: async (nodeId) => members.change(Number(nodeId), "stopped"),
    hold: async (nodeId) => members.change(Number(nodeId), "held"),
    revive: (nodeId) => members.change(Number(nodeId), "running"),
    isRunning: (nodeId) => members.isRunning(Number(nodeId)),
    close: async () => {},
  };
}
