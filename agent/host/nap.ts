import { sleep } from "./waiting";

/** A sleep that others may end: what wakes nobody is remembered, and the next sleep ends at once. */
export class Nap {
  private alarm = new AbortController();

  /** Resolves after `delayMs`, when woken, or as soon as `signal` is aborted: with whether it ended early. */
  async sleep(delayMs: number, signal?: AbortSignal): Promise<boolean> {
    if (signal?.aborted) return true;
    const { alarm } = this;
    const wake = () => alarm.abort();
    signal?.addEventListener("abort", wake);
    await sleep(delayMs, alarm.signal);
    signal?.removeEventListener("abort", wake);
    if (!alarm.signal.aborted) return false;
    this.alarm = new AbortController();
    return true;
  }

  wake(): void {
    this.alarm.abort();
  }
}
