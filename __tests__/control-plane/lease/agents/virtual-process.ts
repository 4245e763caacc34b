/** A process that real code runs in: what its globals say of time, and who wakes it. */
export interface VirtualProcess {
  /** As `performance.now()` gives it. */
  readonly monotonicMs: number;
  /** As `Date.now()` gives it. */
  readonly wallMs: number;
  /** Runs something in the process after so long by its monotonic clock; never when the process has ended by then. */
  agentAfter(delayMs: number, happen: () => void): void;
  random(): number;
}

/** Whose turn it is: until everything that was promised has been handled, all that runs is of this process. */
let turn: VirtualProcess | undefined;

/** Runs something as a part of a process, and with it everything that follows from it before the next turn. */
export function runAs(process: VirtualProcess, act: () => void): void {
  turn = process;
  act();
}

/** Resolves once everything has been handled that the turn has brought about. */
export async function endTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  turn = undefined;
}

function running(): VirtualProcess {
  if (!turn) throw new Error("this runs outside of every process");
  return turn;
}

class Timer {
  isCleared = false;

  /** A process of virtual time ends when it is told to. */
  unref(): this {
    return this;
  }
}

const setTimer = (happen: () => void, delayMs = 0): Timer => {
  const timer = new Timer();
  running().agentAfter(Math.max(1, delayMs), () => {
    if (!timer.isCleared) happen();
  });
  return timer;
};

const setRepeating = (happen: () => void, periodMs: number): Timer => {
  const timer = new Timer();
  const { agentAfter } = running();
  const next = (): void =>
    agentAfter(periodMs, () => {
      if (timer.isCleared) return;
      happen();
      next();
    });
  next();
  return timer;
};

const clearTimer = (timer: Timer | undefined): void => {
  if (timer) timer.isCleared = true;
};

/** For the tests of a file, time, timers and chance are those of the process whose turn it is, one of several in this one. */
export function useVirtualProcesses(): void {
  const globals: Readonly<Record<string, unknown>> = {
    setTimeout: setTimer,
    clearTimeout: clearTimer,
    setInterval: setRepeating,
    clearInterval: clearTimer,
    performance: { now: () => running().monotonicMs },
  };
  const real = new Map<object, PropertyDescriptorMap>();
  const replace = (owner: object, properties: Readonly<Record<string, unknown>>): void => {
    const names = Object.keys(properties);
    const before = names.map((name) => [name, Object.getOwnPropertyDescriptor(owner, name) ?? {}]);
    real.set(owner, Object.fromEntries(before));
    for (const name of names) {
      Object.defineProperty(owner, name, { value: properties[name], configurable: true, writable: true });
    }
  };
  const hrtime = Object.assign(() => [0, 0], { bigint: () => BigInt(Math.round(running().monotonicMs * 1_000_000)) });
  beforeAll(() => {
    replace(globalThis, globals);
    replace(Date, { now: () => running().wallMs });
    replace(Math, { random: () => running().random() });
    replace(process, { hrtime });
  });
  afterAll(() => {
    for (const [owner, properties] of real) Object.defineProperties(owner, properties);
  });
}
