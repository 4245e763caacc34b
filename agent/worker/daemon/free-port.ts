import { createServer } from "node:net";

/** From which ports daemons are given theirs, both ends included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** Ports of this worker's daemons: none is given out twice until it is put back. */
export class PortPool {
  private readonly taken = new Set<number>();
  private next: number;

  /** @param range without one, the system chooses. */
  constructor(private readonly range?: PortRange) {
    this.next = range?.from ?? 0;
  }

  /** @throws Error when none is free. */
  async take(): Promise<number> {
    const attempts = this.range ? this.range.to - this.range.from + 1 : 20;
    for (let attempt = 0; attempt < attempts; attempt++) {
      const wanted = this.candidate();
      if (this.taken.has(wanted)) continue;
      const port = await bindable(wanted);
      if (port === undefined || this.taken.has(port)) continue;
      this.taken.add(port);
      return port;
    }
    throw new Error(`no port is free${this.range ? ` from ${this.range.from} to ${this.range.to}` : ""}`);
  }

  /** Notes the port of a daemon that was found running. */
  keep(port: number): void {
    this.taken.add(port);
  }

  putBack(port: number): void {
    this.taken.delete(port);
  }

  /** In turn, so that a port that was just given back rests. */
  private candidate(): number {
    if (!this.range) return 0;
    const port = this.next;
    this.next = port >= this.range.to ? this.range.from : port + 1;
    return port;
  }
}

/** On every address, as dbmazz binds it. */
async function bindable(port: number): Promise<number | undefined> {
  const probe = createServer();
  const bound = await new Promise<number | undefined>((resolve) => {
    probe.once("error", () => resolve(undefined));
    probe.listen(port, "0.0.0.0", () => {
      const address = probe.address();
      resolve(address && typeof address === "object" ? address.port : undefined);
    });
  });
  await new Promise((resolve) => probe.close(resolve));
  return bound;
}
