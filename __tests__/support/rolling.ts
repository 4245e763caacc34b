import type { z } from "zod";
import type { Cloud } from "../../scripts/rolling-update/cloud";
import type { RollEvent } from "../../scripts/rolling-update/events";
import type { Manifest } from "../../scripts/rolling-update/manifest";
import type { ClusterProbe, Drain } from "../../scripts/rolling-update/probe";
import { roll } from "../../scripts/rolling-update/roll";
import { RollError } from "../../scripts/rolling-update/roll-error";
import type { Outcome, RollOptions } from "../../scripts/rolling-update/roll-ports";
import { parseSettings, type settingsSchema } from "../../scripts/rolling-update/settings";
import { MemoryStore, type StoreObserver } from "../../scripts/rolling-update/simulator/memory-store";
import type { Connection, SimulatedAws } from "../../scripts/rolling-update/simulator/simulated-aws";
import type { Process } from "../../scripts/rolling-update/simulator/virtual-clock";

/** Virtual hours cost real seconds of a processor, more of them where it is shared. */
jest.setTimeout(120_000);

export interface Rehearsal extends Partial<RollOptions> {
  readonly settings?: z.input<typeof settingsSchema>;
  readonly connection?: Connection;
  readonly store?: MemoryStore;
  readonly aroundStore?: StoreObserver;
  readonly probe?: (truth: ClusterProbe) => ClusterProbe;
  readonly drain?: Drain;
  /** @default what the simulated groups were given last */
  readonly manifest?: Manifest;
  readonly process?: Process;
  /** Virtual time after which the rehearsal is ended. */
  readonly limitMs?: number;
}

export interface Rehearsed {
  readonly outcome: Outcome;
  readonly events: readonly RollEvent[];
  readonly store: MemoryStore;
}

/** A roll in the simulator, from a process of its own; an error it throws is returned as a failed outcome. */
export function startRoll(
  aws: SimulatedAws,
  rehearsal: Rehearsal = {},
): { done: Promise<Rehearsed>; process: Process } {
  const process = rehearsal.process ?? aws.clock.process();
  const store = rehearsal.store ?? new MemoryStore();
  const events: RollEvent[] = [];
  const truth = aws.guests.probe(process, () => 0);
  const cloud: Cloud = aws.connect(process, rehearsal.connection);
  const outcome = roll(
    {
      cloud,
      clock: process,
      store: store.connect(process, () => 0, rehearsal.aroundStore),
      probe: rehearsal.probe?.(truth) ?? truth,
      ...(rehearsal.drain ? { drain: rehearsal.drain } : {}),
      report: (event) => events.push(event),
    },
    rehearsal.manifest ?? aws.deployment(),
    parseSettings(rehearsal.settings),
    { owner: "tester", ...rehearsal },
  ).catch((error): Outcome => {
    if (error instanceof RollError) return { status: "failed", replaced: [], error };
    throw error;
  });
  return { process, done: outcome.then((result) => ({ outcome: result, events, store })) };
}

export async function rehearse(aws: SimulatedAws, rehearsal: Rehearsal = {}): Promise<Rehearsed> {
  const result = await aws.clock.run(startRoll(aws, rehearsal).done, rehearsal.limitMs ?? 7 * 24 * 3_600_000);
  if (result === "still running") throw new Error("the roll did not end");
  return result;
}

/** Nodes whose running instance is not on what its group would launch. */
export function behind(aws: SimulatedAws): string[] {
  return aws.manifest.nodes
    .filter(({ group }) => {
      const { template, instances } = aws.group(group);
      const target = aws.ec2.template(template?.id ?? "", template?.version);
      return !(
        instances.length === 1 &&
        instances[0]?.template?.version === String(target.version) &&
        instances[0].template.id === target.id
      );
    })
    .map(({ id }) => id);
}

/** What is not as before a roll: sizes other than one, processes suspended. */
export function stranded(aws: SimulatedAws): string[] {
  return aws.manifest.nodes.flatMap(({ group }) => {
    const { min, max, desired, suspended } = aws.group(group);
    const sizes = min === 1 && max === 1 && desired === 1 ? [] : [`${group}: ${min}/${desired}/${max}`];
    return [...sizes, ...suspended.map((name) => `${group}: ${name} suspended`)];
  });
}
