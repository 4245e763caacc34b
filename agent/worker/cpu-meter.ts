export interface CpuClock {
  /** Processor time that the process has used so far, in microseconds. */
  readonly usedMicros: () => number;
  /** Monotonic, in milliseconds. */
  readonly nowMs: () => number;
}

const OWN: CpuClock = {
  usedMicros: () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  nowMs: () => performance.now(),
};

/**
 * Each call gives the thousandths of one processor that this process used since the call before, or since the meter was made;
 * 0 where no time has passed.
 */
export function cpuMeter({ usedMicros, nowMs }: CpuClock = OWN): () => number {
  let last = { used: usedMicros(), at: nowMs() };
  return () => {
    const now = { used: usedMicros(), at: nowMs() };
    const millicores = now.at > last.at ? Math.round((now.used - last.used) / (now.at - last.at)) : 0;
    last = now;
    return millicores;
  };
}
