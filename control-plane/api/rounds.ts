/** What goes on until it is stopped, which takes until the round that is under way has come to its end. */
export interface Rounds {
  stop(): Promise<void>;
}

/** Goes a round at once, and another so long after the end of each. A round tells itself of what fails in it. */
export function goRounds(restMs: number, round: () => Promise<void>): Rounds {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const go = async (): Promise<void> => {
    await round();
    if (!stopped) timer = setTimeout(next, restMs);
  };
  let current = go();
  const next = (): void => {
    current = go();
  };
  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await current;
    },
  };
}
