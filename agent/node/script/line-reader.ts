import { open } from "node:fs/promises";
import { StringDecoder } from "node:string_decoder";

/** Hands on the lines that others append to a file. */
export class LineReader {
  private readonly decoder = new StringDecoder("utf8");
  private partial = "";
  private reading: Promise<void> = Promise.resolve();

  /** @param offset bytes to skip, from the start of the file. */
  constructor(
    private readonly path: string,
    private offset: number,
    private readonly onLine: (line: string) => void,
  ) {}

  /** Reads what is there by now. Calls run one after the other. */
  read(): Promise<void> {
    this.reading = this.reading.then(() => this.readOnce());
    return this.reading;
  }

  /** Reads the rest, a last line without a line feed too. */
  async finish(): Promise<void> {
    await this.read();
    if (this.partial) this.onLine(this.partial);
    this.partial = "";
  }

  private async readOnce(): Promise<void> {
    const file = await open(this.path, "r");
    try {
      const buffer = Buffer.alloc(64 * 1024);
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, this.offset);
        if (bytesRead === 0) return;
        this.offset += bytesRead;
        const lines = (this.partial + this.decoder.write(buffer.subarray(0, bytesRead))).split("\n");
        this.partial = lines.pop() ?? "";
        for (const line of lines) this.onLine(line);
      }
    } finally {
      await file.close();
    }
  }
}
