import { randomUUID } from "node:crypto";
import { Writable } from "node:stream";
import { createLogger } from "../../../control-plane/api/logger";
import { type ControlPlane, type ControlPlaneProps, startControlPlane } from "../../../control-plane/api/server";
import { DEFAULT_TIMING, type LeaseTiming } from "../../../control-plane/lease/timing";
import { type Answer, checkAnswer, type MessageName, type Request, WORKER_PATH } from "../../../control-plane/protocol";
import { MAX_CLAIM_WAIT_MS } from "../../../control-plane/protocol/limits";
import { openDatabase } from "../../../control-plane/store/database";
import { issueToken } from "../../../control-plane/store/tokens";
import { eventually } from "../../support/eventually";
import { KEYRING } from "../store/fleet";

export interface Reply {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came back
  readonly body: any;
}

/** Sends one request with a token. */
export async function send(url: string, path: string, token: string, body?: unknown, method = "POST"): Promise<Reply> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: await answer.json() };
}

/** An operator with a deployment, two datasources in one, and a deployment token. */
export class Operator {
  private constructor(
    readonly url: string,
    readonly token: string,
    readonly deploymentId: string,
    readonly deploymentToken: string,
    private readonly datasourceId: string,
  ) {}

  static async create(url: string, databaseUrl: string, name = "shop"): Promise<Operator> {
    const pool = openDatabase(databaseUrl, 1);
    const { token } = await issueToken(pool, { kind: "operator", deploymentId: null });
    await pool.end();
    const created = await send(url, "/api/v1/deployments", token, { name });
    const base = `/api/v1/deployments/${created.body.id}`;
    const deployment = await send(url, `${base}/tokens`, token, { kind: "deployment" });
    const datasource = await send(url, `${base}/datasources`, token, {
      name: "orders-db",
      engine: "postgres",
      url: "postgres://db.internal:5432/shop",
      user: "cdc",
      password: "canary-password",
    });
    return new Operator(url, token, created.body.id, deployment.body.token, datasource.body.id);
  }

  get base(): string {
    return `/api/v1/deployments/${this.deploymentId}`;
  }

  async createJob(name: string, props: object = {}): Promise<string> {
    const { sourceId, sinkId } = { sourceId: this.datasourceId, sinkId: this.datasourceId };
    const { status, body } = await this.post("/jobs", { name, sourceId, sinkId, tables: ["public.orders"], ...props });
    if (status !== 200) throw new Error(JSON.stringify(body));
    return body.id;
  }

  async post(path: string, body?: unknown): Promise<Reply> {
    return await send(this.url, `${this.base}${path}`, this.token, body);
  }

  async get(path: string): Promise<Reply> {
    return await send(this.url, `${this.base}${path}`, this.token, undefined, "GET");
  }
}

/** A worker as the protocol sees it: every answer goes through the agent's checker. */
export class TestWorker {
  token = "";
  private beats = 0;
  /** Kinds of action that it says to understand. */
  features = ["stop", "drain"];
  agentVersion = "1.0.0";

  constructor(
    readonly url: string,
    private readonly deploymentToken: string,
    readonly workerId: string,
    readonly sessionId: string = randomUUID(),
  ) {}

  async open(running: Request<"heartbeat">["running"] = []): Promise<this> {
    await this.register();
    await this.beat({ running });
    return this;
  }

  async register(): Promise<void> {
    const { body } = await send(this.url, `${WORKER_PATH}register`, this.deploymentToken, {
      protocols: [1],
      workerId: this.workerId,
      sessionId: this.sessionId,
      agentVersion: this.agentVersion,
      daemonVersion: "1.0.0",
      pool: "default",
      labels: {},
      slots: 4,
      features: this.features,
    });
    this.token = checkAnswer("register", body).token;
  }

  async beat(beat: Partial<Request<"heartbeat">> = {}): Promise<Answer<"heartbeat">> {
    return await this.ask("heartbeat", { seq: this.beats++, state: "active", running: [], released: [], ...beat });
  }

  async claim(waitMs = 0): Promise<Answer<"claim">> {
    return await this.ask("claim", { claimId: randomUUID(), freeSlots: 1, waitMs });
  }

  /** The answer, which must be a success. */
  async ask<Name extends MessageName>(name: Name, request: Request<Name>): Promise<Answer<Name>> {
    const { status, body } = await this.send(name, request);
    if (status !== 200) throw new Error(`${name}: ${status} ${JSON.stringify(body)}`);
    return checkAnswer(name, body) as Answer<Name>;
  }

  async send(name: MessageName, request: unknown): Promise<Reply> {
    const reply = await send(this.url, `${WORKER_PATH}${name}`, this.token, request);
    if (reply.status !== 200) checkAnswer("refusal", reply.body);
    return reply;
  }

  /** Parks a claim for as long as one may be. @returns its answer, which fails where nothing but the end of its time has brought it */
  async park(freeSlots = 1): Promise<() => Promise<Reply>> {
    const at = performance.now();
    const answer = this.send("claim", { claimId: randomUUID(), freeSlots, waitMs: MAX_CLAIM_WAIT_MS });
    const figures = async () => (await fetch(`${this.url}/metrics`)).text();
    await eventually(async () => (/^holdfast_parked_claims 1$/m.test(await figures()) ? true : undefined));
    return async () => {
      const reply = await answer;
      if (performance.now() - at >= DEFAULT_TIMING.claimWaitMs) throw new Error("nothing has woken the claim");
      return reply;
    };
  }

  /** Asks to claim and hangs up once the request has had time to be parked. */
  async claimAndHangUp(parkedForMs: number): Promise<void> {
    const hangUp = new AbortController();
    const claim = fetch(`${this.url}${WORKER_PATH}claim`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.token}`, "content-type": "application/json" },
      body: JSON.stringify({ claimId: randomUUID(), freeSlots: 1, waitMs: 30_000 }),
      signal: hangUp.signal,
    });
    setTimeout(() => hangUp.abort(), parkedForMs);
    await claim.catch(() => undefined);
  }
}

/** A copy of the control plane that keeps what it logs. */
export async function startCopy(
  databaseUrl: string,
  timing: LeaseTiming = DEFAULT_TIMING,
  props: Partial<ControlPlaneProps> = {},
): Promise<{ controlPlane: ControlPlane; logs: string[] }> {
  const logs: string[] = [];
  const sink = new Writable({
    write: (chunk, _, done) => {
      logs.push(String(chunk));
      done();
    },
  });
  const logger = createLogger("debug", sink);
  const controlPlane = await startControlPlane({ databaseUrl, keyring: KEYRING, logger, timing, ...props });
  return { controlPlane, logs };
}
