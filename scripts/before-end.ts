import { Interrupts, SIGNALS } from "./interrupts";

/**
 * Closes once: when the function that is given back is called, or before a signal ends the program, which it still does. A signal that
 * comes a second or more after the first ends it at once.
 */
export function beforeEnd(close: () => Promise<unknown>): () => Promise<void> {
  const interrupts = new Interrupts();
  let closing: Promise<void> | undefined;
  const forget = () => {
    for (const signal of SIGNALS) process.off(signal, end);
  };
  const once = () => {
    closing ??= close()
      .then(() => undefined)
      .finally(forget);
    return closing;
  };
  const end = (signal: NodeJS.Signals) => {
    const isFirst = !interrupts.first.aborted;
    interrupts.hear();
    const kill = () => {
      forget();
      process.kill(process.pid, signal);
    };
    if (interrupts.second.aborted) kill();
    else if (isFirst) {
      void once()
        .catch((error: Error) => console.error(error.message))
        .finally(kill);
    }
  };
  for (const signal of SIGNALS) process.on(signal, end);
  return once;
}
