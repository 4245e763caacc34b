const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Cleans up once: when the function that is given back is called, or before a signal ends the program. */
export function untilEnded(cleanUp: () => void): () => void {
  const forget = () => {
    for (const signal of SIGNALS) process.removeListener(signal, end);
  };
  const end = (signal: NodeJS.Signals) => {
    forget();
    cleanUp();
    process.kill(process.pid, signal);
  };
  for (const signal of SIGNALS) process.on(signal, end);
  return () => {
    forget();
    cleanUp();
  };
}
