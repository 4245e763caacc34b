import { connect, type Socket } from "node:net";

/** An error code of the server. https://zookeeper.apache.org/doc/r3.8.4/apidocs/zookeeper-server/org/apache/zookeeper/KeeperException.Code.html */
export class ZooKeeperRefused extends Error {
  public constructor(public readonly code: number) {
    super(`ZooKeeper answers ${code}`);
  }
}

export const NODE_EXISTS = -110;

const PORT = 2181;
const OPERATIONS = { create: 1, getChildren: 8 };
const ALL_PERMISSIONS = 31;
const NO_ACKNOWLEDGEMENT = 0;
const SESSION_MS = 10_000;

/**
 * One session with one server, in the words of its protocol: frames of a length and a record in Jute's encoding.
 * https://github.com/apache/zookeeper/blob/master/zookeeper-jute/src/main/resources/zookeeper.jute
 */
export class ZooKeeperSession {
  readonly #waiting = new Map<number, { resolve: (body: Buffer) => void; reject: (error: Error) => void }>();
  #received = Buffer.alloc(0);
  #lastId = NO_ACKNOWLEDGEMENT;

  /** Resolves once the connection is over, whoever ended it. */
  readonly ended: Promise<void>;

  private constructor(
    private readonly socket: Socket,
    private readonly timeoutMs: number,
  ) {
    socket.on("data", (data) => this.#receive(data)).on("error", () => undefined);
    this.ended = new Promise((resolve) => {
      socket.on("close", () => {
        for (const { reject } of this.#waiting.values()) reject(new Error("the connection has ended"));
        this.#waiting.clear();
        resolve();
      });
    });
  }

  /** A server that does not answer within `timeoutMs`, now or later, loses the connection. @throws Error where it takes no session. */
  static async open(host: string, timeoutMs: number): Promise<ZooKeeperSession> {
    const socket = connect({ host, port: PORT });
    const session = new ZooKeeperSession(socket, timeoutMs);
    const opened = session.#answer(NO_ACKNOWLEDGEMENT);
    socket.write(frame([int(0), long(0), int(SESSION_MS), long(0), bytes(Buffer.alloc(16))]));
    await opened;
    return session;
  }

  async create(path: string, value: string): Promise<void> {
    const acl = [int(1), int(ALL_PERMISSIONS), text("world"), text("anyone")];
    await this.#call(OPERATIONS.create, [text(path), text(value), ...acl, int(0)]);
  }

  async children(path: string): Promise<string[]> {
    const body = await this.#call(OPERATIONS.getChildren, [text(path), Buffer.of(0)]);
    const names: string[] = [];
    for (let at = 4; names.length < body.readInt32BE(0); ) {
      const end = at + 4 + body.readInt32BE(at);
      names.push(body.toString("utf8", at + 4, end));
      at = end;
    }
    return names;
  }

  close(): void {
    this.socket.destroy();
  }

  #call(operation: number, record: readonly Buffer[]): Promise<Buffer> {
    this.#lastId += 1;
    const answer = this.#answer(this.#lastId);
    this.socket.write(frame([int(this.#lastId), int(operation), ...record]));
    return answer;
  }

  #answer(id: number): Promise<Buffer> {
    return new Promise<Buffer>((resolve, reject) => {
      if (this.socket.destroyed) reject(new Error("the connection has ended"));
      const late = setTimeout(() => this.socket.destroy(), this.timeoutMs);
      this.#waiting.set(id, {
        resolve: (body) => {
          clearTimeout(late);
          resolve(body);
        },
        reject: (error) => {
          clearTimeout(late);
          reject(error);
        },
      });
    });
  }

  #receive(data: Buffer): void {
    this.#received = Buffer.concat([this.#received, data]);
    while (this.#received.length >= 4 && this.#received.length >= 4 + this.#received.readInt32BE(0)) {
      const end = 4 + this.#received.readInt32BE(0);
      this.#take(this.#received.subarray(4, end));
      this.#received = this.#received.subarray(end);
    }
  }

  /** The first answer is that to the request for a session, which has no header. */
  #take(answer: Buffer): void {
    const isSession = this.#waiting.has(NO_ACKNOWLEDGEMENT);
    const id = isSession ? NO_ACKNOWLEDGEMENT : answer.readInt32BE(0);
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    const code = isSession ? 0 : answer.readInt32BE(12);
    if (code === 0) waiting?.resolve(answer.subarray(16));
    else waiting?.reject(new ZooKeeperRefused(code));
  }
}

const int = (value: number) => {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
};
const long = (value: number) => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigInt64BE(BigInt(value));
  return buffer;
};
const bytes = (value: Buffer) => Buffer.concat([int(value.length), value]);
const text = (value: string) => bytes(Buffer.from(value));
const frame = (parts: readonly Buffer[]) => bytes(Buffer.concat(parts));
