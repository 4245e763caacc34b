const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/**
 * Has `close` done before the program ends by SIGINT or SIGTERM, which it still does; a second signal ends it at once.
 *
 * @returns what takes that back.
 */
export function onEndSignal(close: () => Promise<void>): () => void {
  const release = () => {
    for (const signal of SIGNALS) process.off(signal, end);
  };
  const end = (signal: NodeJS.Signals) => {
    release();
    void close()
      .catch((error: Error) => console.error(error.message))
      .finally(() => process.kill(process.pid, signal));
  };
  for (const signal of SIGNALS) process.on(signal, end);
  return release;
}
