import { type Job, newJob } from "../../../../control-plane/lease/job";
import { DEFAULT_TIMING, type LeaseTiming } from "../../../../control-plane/lease/timing";
import { Agent } from "./agent";
import { Machine, type Observer } from "./machine";
import { Measurements, type Outcome } from "./measurements";
import type { Mutant } from "./mutants";
import { Network } from "./network";
import { Server } from "./server";
import { World } from "./world";

const HOUR = 3_600_000;
const MINUTE = 60_000;
/** Once no more faults happen: by then the last machine is back, and every job ended or runs. */
const CALM_MS = 10 * MINUTE;
const CALM_LOOK_MS = 1_000;

export interface Simulation {
  readonly seed: number;
  readonly hours: number;
  /** `vanishing machines`: a sound network, and nothing fails but whole machines. */
  readonly faults?: "every kind" | "vanishing machines";
  /** How many times more often than in a bad week faults happen. */
  readonly faultRate?: number;
  readonly timing?: LeaseTiming;
  readonly mutant?: Mutant;
  readonly workers?: number;
  readonly jobs?: number;
}

/** Runs a fleet for so many simulated hours under every fault at once, then without faults until every job is accounted for. */
export function simulate(simulation: Simulation): Outcome {
  const { seed, hours, timing = DEFAULT_TIMING, mutant, workers = 8, jobs = 12 } = simulation;
  const everyFault = simulation.faults !== "vanishing machines";
  const faults: Faults = { everyFault, rate: simulation.faultRate ?? 1, untilMs: hours * HOUR };
  const world = new World(seed);
  const rules = mutant === "no margin" ? { ...timing, serverLeaseMs: timing.workerLeaseMs * 1.2 } : timing;
  const server = new Server(world, rules, mutant);
  const network = new Network(world, server, everyFault);
  const agents = new Map<Machine, Agent>();
  const measured = new Measurements(world, server, () => machines);

  const observer: Observer = {
    spawned: (machine, daemon) => {
      measured.spawned(daemon);
      if (!everyFault) return;
      machine.after(world.exponential((3 * HOUR) / faults.rate), () => {
        if (machine.daemons.get(daemon.jobId) === daemon && !daemon.dying) machine.remove(daemon, "exit");
      });
    },
    gone: (machine, daemon, cause) => {
      measured.gone(daemon, cause);
      if (machine.agent === "down" || cause === "vanished") return;
      const outcome = world.chance(0.1) ? "completed" : "failed";
      const { life } = machine;
      machine.agentAfter(0, () => {
        if (machine.life === life) agents.get(machine)?.daemonGone(daemon, cause === "exit" ? outcome : undefined);
      });
    },
    thawed: (machine) => measured.thawed(machine),
  };

  const machines = Array.from({ length: workers }, (_, index) => {
    const rate = 1 + world.between(-timing.clockRateError, timing.clockRateError);
    return new Machine(world, `worker-${index}`, rate, timing, mutant, observer);
  });
  const bringUp = (machine: Machine): void => {
    agents.set(machine, new Agent(machine, network));
  };
  for (let index = 0; index < jobs; index++)
    server.state.jobs.set(`job-${index}`, queuedJob(index % 4 === 3 ? "keep" : "stop"));
  for (const machine of machines) {
    world.after(world.between(0, 5_000), () => bringUp(machine));
    injectFaults(world, machine, faults, bringUp);
  }
  const restart = (): void => server.restart(world.between(500, 60_000));
  if (everyFault) world.repeat((20 * MINUTE) / faults.rate, restart, faults.untilMs);
  world.repeat(2 * MINUTE, () => server.runEndedAgain());

  world.runUntil(faults.untilMs);
  network.heal();
  server.heal();
  for (const machine of machines) machine.cutOffUntilMs = world.nowMs;
  while (measured.unaccounted().length > 0 && world.nowMs < faults.untilMs + CALM_MS) {
    world.runUntil(world.nowMs + CALM_LOOK_MS);
  }
  return measured.outcome();
}

interface Faults {
  readonly everyFault: boolean;
  readonly rate: number;
  readonly untilMs: number;
}

function injectFaults(world: World, machine: Machine, faults: Faults, bringUp: (machine: Machine) => void): void {
  const onceIn = (meanMs: number, happen: () => void): void =>
    world.repeat(meanMs / faults.rate, happen, faults.untilMs);
  onceIn(10 * HOUR, () => {
    machine.vanish();
    const { life } = machine;
    world.after(world.between(MINUTE, 5 * MINUTE), () => {
      if (machine.life === life) bringUp(machine);
    });
  });
  if (!faults.everyFault) return;
  onceIn(2 * HOUR, () => crash(world, machine, bringUp));
  onceIn(2 * HOUR, () => pause(world, machine));
  onceIn(4 * HOUR, () => {
    if (!machine.frozen) machine.freeze(world.between(2_000, 5 * MINUTE));
  });
  onceIn(HOUR, () => {
    machine.cutOffUntilMs = world.nowMs + world.between(2_000, 2 * MINUTE);
  });
  onceIn(10 * HOUR, () => machine.setWallClock(world.between(-MINUTE, MINUTE)));
}

/** The agent's process is stopped for a while; its daemons are not. */
function pause(world: World, machine: Machine): void {
  if (machine.agent !== "up") return;
  const pauseMs = world.between(2_000, 2 * MINUTE);
  const { life } = machine;
  machine.agent = "paused";
  machine.agentResumesAtMs = world.nowMs + pauseMs;
  world.after(pauseMs, () => {
    if (machine.life === life && machine.agent === "paused") machine.agent = "up";
  });
}

/** The agent dies; its daemons live on until it is back, or until the lease guard ends them. */
function crash(world: World, machine: Machine, bringUp: (machine: Machine) => void): void {
  if (machine.agent === "down") return;
  machine.life += 1;
  machine.agent = "down";
  const { life } = machine;
  machine.after(world.chance(0.8) ? world.between(1_000, 10_000) : world.between(MINUTE, 3 * MINUTE), () => {
    if (machine.life === life) bringUp(machine);
  });
}

/** As jobs are made where nothing else is said, and queued. */
export function queuedJob(onDisconnect: Job["onDisconnect"] = "stop"): Job {
  return { ...newJob({ maxRetries: 10, onDisconnect }), state: "pending" };
}
