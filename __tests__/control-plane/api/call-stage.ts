import { randomUUID } from "node:crypto";
import type { MessageName } from "../../../control-plane/protocol";
import { type Reply, send, type TestWorker } from "./clients";
import type { TestControlPlane } from "./use-control-plane";

/** A call that only waits to be made, and one of the same kind that is refused. */
export interface Ready {
  readonly ask: () => Promise<Reply>;
  readonly refused: () => Promise<Reply>;
}

/** What a mutating call adds to the audit log. */
export interface MutatingCall {
  /** What tells it from other calls of the same operation. */
  readonly when?: string;
  readonly prepare: () => Promise<Ready>;
  /** @default 200 */
  readonly status?: number;
  /** Actions of its entries, sorted. */
  readonly adds: readonly string[];
  /**
   * The same when it is made again as it was.
   * @default - nothing: it was done before, or is refused
   */
  readonly again?: readonly string[];
}

export interface Ref {
  readonly jobId: string;
  readonly fence: number;
}

export const RELEASE = {
  program: "agent",
  version: "2.0.0",
  url: "https://releases.example/agent-2.0.0.mjs",
  sha256: "ab".repeat(32),
  signature: "c2lnbmVk",
};

/** Ways to what a mutating call needs. */
export class Stage {
  private made = 0;
  constructor(private readonly plane: TestControlPlane) {}

  /** The token with which its workers register. */
  get deployment(): { readonly token: string } {
    return { token: this.plane.operator.deploymentToken };
  }

  readonly unique = (what: string): string => `${what}-${this.made++}`;

  /** A call of an operator of all deployments, unless another token is named. */
  readonly call =
    (path: string, body?: unknown, method = "POST", token = this.plane.operator.token) =>
    async (): Promise<Reply> =>
      await send(this.plane.url, path, token, body, method);

  /** As `call`, below the deployment. */
  readonly within = (path: string, body?: unknown, method = "POST") =>
    this.call(`${this.plane.operator.base}${path}`, body, method);

  /** The token of an operator of the deployment alone. */
  async ownToken(): Promise<string> {
    return (await this.within("/tokens", { kind: "operator" })()).body.token;
  }

  newDatasource(name = this.unique("db")): object {
    const url = "postgres://db.internal:5432/shop";
    return { name, engine: "postgres", url, user: "cdc", password: "p" };
  }

  async datasource(): Promise<string> {
    return await this.idOf("/datasources", this.newDatasource());
  }

  readonly registered = async (workerId = this.unique("i")): Promise<TestWorker> => {
    const worker = this.plane.worker(workerId);
    worker.features = ["stop", "drain", "test_connection", "upgrade"];
    await worker.register();
    return worker;
  };

  /** A worker whose lease does not run out. */
  readonly worker = async (workerId?: string): Promise<TestWorker> => {
    const worker = await this.registered(workerId);
    await worker.beat();
    await this.plane.pool.query("update leases set expires_at = now() + interval '1 hour'");
    return worker;
  };

  /** Lets a worker's lease run out, long after the control plane has come up. */
  async silence({ sessionId }: TestWorker): Promise<void> {
    await this.plane.pool.query("update leases set expires_at = now() - interval '1 hour' where session_id = $1", [
      sessionId,
    ]);
    await this.plane.pool.query("update pulse set up_since = now() - interval '1 hour'");
  }

  /** Leaves a session as one that nobody saw when its worker's newer one was opened. */
  async unclose({ sessionId }: TestWorker): Promise<void> {
    await this.plane.pool.query("update sessions set state = 'registered', closed_at = null where id = $1", [
      sessionId,
    ]);
  }

  async job(props: object = {}): Promise<string> {
    return await this.plane.operator.createJob(this.unique("job"), props);
  }

  /** Two jobs that the worker was granted. */
  async granted(worker: TestWorker): Promise<readonly [Ref, Ref]> {
    await Promise.all([this.job(), this.job()]);
    const { grants } = await worker.ask("claim", { claimId: randomUUID(), freeSlots: 2, waitMs: 0 });
    const [one, other] = grants.map(({ jobId, fence }) => ({ jobId, fence }));
    if (!one || !other) throw new Error("two jobs are ready and were not granted");
    return [one, other];
  }

  /** Two jobs that the worker runs. */
  async running(worker: TestWorker): Promise<readonly [Ref, Ref]> {
    const refs = await this.granted(worker);
    for (const ref of refs) await worker.ask("started", ref);
    return refs;
  }

  /** A job of which changes may be missing after a position. */
  async gap(lastConfirmed: string): Promise<string> {
    const worker = await this.worker();
    const [ref] = await this.running(worker);
    const checkpoint = { seq: 1, phase: "init", position: lastConfirmed } as const;
    await worker.ask("progress", { ...ref, checkpoint, gapPossible: { lastConfirmed } });
    return ref.jobId;
  }

  /** An upgrade of a pool without workers. */
  async upgrade(): Promise<string> {
    return await this.idOf("/upgrades", { ...RELEASE, pool: this.unique("pool") });
  }

  /** An upgrade that every worker was asked for. */
  async askedToUpgrade(): Promise<string> {
    await this.plane.pool.query("update upgrades set state = 'aborted'");
    return await this.idOf("/upgrades", { ...RELEASE, waveSize: 1_000 });
  }

  /** The only worker that tests connections, and the test that it was asked for. */
  async askedToTest(): Promise<{ readonly worker: TestWorker; readonly testId: string }> {
    await this.plane.pool.query("update sessions set features = '{}'");
    const worker = await this.worker();
    return { worker, testId: await this.idOf(`/datasources/${await this.datasource()}/test`, { role: "sink" }) };
  }

  /** A message of a worker, and one that is refused. */
  message(worker: TestWorker, name: MessageName, message: unknown, wrong: unknown): Ready {
    return {
      ask: async () => await worker.send(name, message),
      refused: async () => await worker.send(name, wrong),
    };
  }

  private async idOf(path: string, body: unknown): Promise<string> {
    const { status, body: answer } = await this.within(path, body)();
    if (status !== 200) throw new Error(`${path}: ${JSON.stringify(answer)}`);
    return answer.id;
  }
}
