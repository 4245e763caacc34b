import { once } from "node:events";
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from "node:net";

/** Where a proxy leads, which changes when a program is started again. */
export interface Destination {
  readonly name: string;
  /** Undefined while nobody listens. */
  port: number | undefined;
}

/** A connection through the proxy. */
interface Wire {
  readonly near: Socket;
  readonly far: Socket;
  readonly to: Destination;
  /** What happened while it was cut, and is felt when it is not any more. */
  readonly later: (() => void)[];
}

/**
 * A piece of network on the loopback interface that can be cut. As on a network, a cut is silent: what is sent does not arrive, an end
 * that dies is not heard of, and what still waits arrives after it is healed. Connections are spread over the destinations in turn, as a
 * load balancer does that knows who listens, and not who can be reached.
 */
export class SeverableProxy {
  private readonly wires = new Set<Wire>();
  /** How many cuts there are to a destination. */
  private readonly cuts = new Map<Destination, number>();
  private turn = 0;

  private constructor(
    private readonly server: Server,
    private readonly destinations: readonly Destination[],
  ) {
    server.on("connection", (near) => this.connect(near));
  }

  static async listen(destinations: readonly Destination[]): Promise<SeverableProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new SeverableProxy(server, destinations);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Cuts the way to a destination; gives what heals this cut. Another one of the same way stays. */
  cut(to: Destination): () => void {
    this.cuts.set(to, this.cutsTo(to) + 1);
    for (const { near, far } of this.wiresTo(to)) {
      near.pause();
      far.pause();
    }
    return () => {
      this.cuts.set(to, this.cutsTo(to) - 1);
      if (!this.isCut(to)) this.healed(to);
    };
  }

  async close(): Promise<void> {
    for (const { near, far } of this.wires) {
      near.destroy();
      far.destroy();
    }
    await new Promise((resolve) => this.server.close(resolve));
  }

  private healed(to: Destination): void {
    for (const { near, far, later } of this.wiresTo(to)) {
      for (const act of later.splice(0)) act();
      near.resume();
      far.resume();
    }
  }

  private cutsTo(to: Destination): number {
    return this.cuts.get(to) ?? 0;
  }

  private isCut(to: Destination): boolean {
    return this.cutsTo(to) > 0;
  }

  private wiresTo(to: Destination): Wire[] {
    return [...this.wires].filter((wire) => wire.to === to);
  }

  private connect(near: Socket): void {
    const listening = this.destinations.filter(({ port }) => port !== undefined);
    const to = listening[this.turn++ % Math.max(1, listening.length)];
    if (to?.port === undefined) {
      near.destroy();
      return;
    }
    const far = createConnection({ port: to.port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    const wire: Wire = { near, far, to, later: [] };
    this.wires.add(wire);
    this.carry(wire, near, far);
    this.carry(wire, far, near);
    if (this.isCut(to)) far.pause();
    else near.resume();
  }

  private carry(wire: Wire, from: Socket, to: Socket): void {
    const whenWhole = (act: () => void) => {
      if (this.isCut(wire.to)) wire.later.push(act);
      else act();
    };
    from.on("data", (bytes) => {
      if (!to.write(bytes)) from.pause();
    });
    to.on("drain", () => {
      if (!this.isCut(wire.to)) from.resume();
    });
    from.on("end", () => whenWhole(() => to.end()));
    // Its close follows.
    from.on("error", () => undefined);
    from.on("close", (failed) => {
      whenWhole(() => {
        if (failed) to.destroy();
        else to.end();
        this.wires.delete(wire);
      });
    });
  }
}
