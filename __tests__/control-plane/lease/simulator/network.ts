import type { Machine } from "./machine";
import type { Server } from "./server";
import type { World } from "./world";

/** Whose messages are carried. */
type Peer = Pick<Machine, "life" | "cutOffUntilMs" | "agentAfter">;

/** Messages are lost, late by up to half a minute, and delivered twice. */
export class Network {
  constructor(
    readonly world: World,
    private readonly server: Server,
    private unreliable: boolean,
  ) {}

  /** From now on every message arrives, once and soon; what a server would get that is down is refused. */
  heal(): void {
    this.unreliable = false;
  }

  isKept(jobId: string): boolean {
    return this.server.state.jobs.get(jobId)?.onDisconnect === "keep";
  }

  /** A request and its answer; either may never arrive. */
  ask<T>(machine: Peer, request: (server: Server) => T, answered: (answer: T) => void): void {
    this.askParked(machine, (server, answer: (value: T) => void) => answer(request(server)), answered);
  }

  /** The same for a request that is answered later. */
  askParked<T>(
    machine: Peer,
    request: (server: Server, answer: (value: T) => void) => void,
    answered: (answer: T) => void,
    refused: () => void = () => {},
  ): void {
    const life = machine.life;
    const back = (happen: () => void): void =>
      this.carry(machine, () => {
        if (life === machine.life) machine.agentAfter(0, happen);
      });
    this.carry(machine, () => {
      if (this.server.up) request(this.server, (value) => back(() => answered(value)));
      else if (!this.unreliable) back(refused);
    });
  }

  private carry(machine: Peer, deliver: () => void): void {
    const { world } = this;
    const rarely = (probability: number): boolean => this.unreliable && world.chance(probability);
    if (world.nowMs < machine.cutOffUntilMs || rarely(0.03)) return;
    const delay = (): number => (rarely(0.02) ? world.between(1_000, 40_000) : world.between(1, 60));
    world.after(delay(), deliver);
    if (rarely(0.01)) world.after(delay(), deliver);
  }
}
