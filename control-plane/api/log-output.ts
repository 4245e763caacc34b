import { write, writeSync } from "node:fs";
import type { DestinationStream } from "pino";

/** Bytes that wait to be written; lines beyond are lost. */
const MOST_WAITING = 1_048_576;
const AGAIN_MS = 1_000;

/**
 * Writes lines to an open file, in their order, and holds nobody up. What cannot be written, as on a full disk, is tried again each second; what
 * is said meanwhile waits, as much as there is room for, and is lost otherwise: what a copy does matters more than what it says of it.
 */
export class LogOutput implements DestinationStream {
  private waiting: Buffer[] = [];
  private waitingBytes = 0;
  private isBusy = false;

  constructor(private readonly file: number) {
    process.once("exit", () => this.writeRest());
  }

  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.waitingBytes + bytes.length > MOST_WAITING) return;
    this.waiting.push(bytes);
    this.waitingBytes += bytes.length;
    if (!this.isBusy) this.writeWaiting();
  }

  private writeWaiting(): void {
    this.isBusy = true;
    const part = Buffer.concat(this.waiting.splice(0));
    write(this.file, part, (error, written = 0) => {
      this.waitingBytes -= written;
      if (written < part.length) this.waiting.unshift(part.subarray(written));
      if (error) setTimeout(() => this.writeWaiting(), AGAIN_MS).unref();
      else if (this.waiting.length > 0) this.writeWaiting();
      else this.isBusy = false;
    });
  }

  /** Nothing can wait any longer. */
  private writeRest(): void {
    try {
      if (this.waiting.length > 0) writeSync(this.file, Buffer.concat(this.waiting));
    } catch {
      // It is lost.
    }
  }
}
