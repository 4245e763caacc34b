import type { Worker } from "./worker";

export interface Faults {
  readonly untilMs: number;
  /** After a suspension: how long it takes to end what must end. */
  readonly wakingMs: number;
  readonly startAgent: () => void;
  /** Told once that time is over. */
  readonly awake: () => void;
}

/** What befalls a machine, each kind once in so many milliseconds on average: more in half a minute than in many a year. */
export function injectFaults(worker: Worker, faults: Faults): void {
  const { world } = worker;
  const onceIn = (meanMs: number, happen: () => void): void => world.repeat(meanMs, happen, faults.untilMs);
  const startLater = (leastMs: number, mostMs: number): void =>
    world.after(world.between(leastMs, mostMs), faults.startAgent);

  onceIn(60_000, () => {
    worker.endAgent();
    if (world.chance(0.6)) startLater(200, 3_000);
    else startLater(5_000, 25_000);
  });
  onceIn(60_000, () => worker.pauseAgent(world.between(1_000, 20_000)));
  onceIn(90_000, () => {
    worker.freeze(world.between(1_000, 25_000), faults.wakingMs);
    if (worker.isFrozen) world.at(worker.wakingUntilMs, faults.awake);
  });
  onceIn(40_000, () => {
    const cutOffMs = world.between(1_000, 20_000);
    worker.tell("cut off", { cutOffMs });
    worker.cutOffUntilMs = world.nowMs + cutOffMs;
  });
  onceIn(120_000, () => worker.guard.stall(world.between(1_000, 20_000)));
  onceIn(120_000, () => worker.setWallClock(world.between(-60_000, 60_000)));
  onceIn(300_000, () => {
    worker.vanish();
    startLater(5_000, 20_000);
  });
}
