import type { Pool } from "pg";
import type { Aws, AwsParameters } from "../../../agent/host/aws";
import { createLog } from "../../../agent/host/log";
import { type AgentEnd, runAgent } from "../../../agent/worker/agent";
import { ec2Cloud } from "../../../agent/worker/cloud";
import { type ControlPlaneClient, controlPlaneClient } from "../../../agent/worker/control-plane-client";
import { daemonQuirks } from "../../../agent/worker/daemon/quirks";
import type { LeaseTiming } from "../../../control-plane/lease/timing";
import type { Answer, MessageName, Request } from "../../../control-plane/protocol";
import { Operator, startCopy } from "../../control-plane/api/clients";
import { layCable } from "../../support/cable";
import { longForm } from "../../support/long-form";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";
import { INSTANCE_CONFIG } from "./instance-config";
import { RecordedDaemons, RecordedSink } from "./recorded-daemons";
import { STATE } from "./worker-with-job";

/** A message of an agent as its own socket saw it, on the clock of `performance.now()`. */
export interface Said<Name extends MessageName> {
  readonly name: Name;
  readonly message: Request<Name>;
  readonly sentAt: number;
  /** Undefined where it was refused, or not answered. */
  answered?: { readonly at: number; readonly unixMs: number; readonly answer: Answer<Name> };
}

/** An entry of the audit log about one job. */
export interface JobStep {
  readonly action: string;
  readonly actor: string;
  /** On the database's clock, which is this machine's. */
  readonly unixMs: number;
  readonly fence: number;
}

/** An agent on an instance of its own: its code is the shipped one, its daemons are stand-ins. */
export interface FleetAgent {
  readonly workerId: string;
  /** What EC2 tells it. */
  readonly metadata: Map<string, string>;
  readonly awsCalls: readonly string[];
  /** When it began to drain; undefined until then. */
  readonly drainingAt: number | undefined;
  readonly ended: Promise<AgentEnd>;
  said<Name extends MessageName>(name: Name): readonly Said<Name>[];
  /** Its sessions so far, as the audit log calls them. */
  actors(): readonly string[];
  /** Called in the moment in which it begins to drain. */
  onDraining(act: () => void): void;
  /** SIGTERM. */
  stop(): void;
  /** The instance is gone at once, with all that ran on it. @returns when, on the clock of `performance.now()` */
  vanish(): Promise<number>;
}

/** A control plane on a real database, and as many agents as a test wants, each with a way of its own to it. */
export interface AgentFleet {
  readonly sink: RecordedSink;
  readonly pool: Pool;
  startAgent(workerId: string, props?: { readonly pool?: string; readonly slots?: number }): Promise<FleetAgent>;
  createJob(name: string, props?: object): Promise<string>;
  /** What became of a job since it was created, in the order of the commits. */
  steps(jobId: string): Promise<readonly JobStep[]>;
  /** Ends the control plane and cuts every way to it; gives what brings it back. */
  takeDown(): Promise<() => Promise<void>>;
}

/** Gives the tests of a file fleets on one PostgreSQL; what a test leaves running is ended after it. */
export function useAgentFleets(): { freshFleet(timing: LeaseTiming): Promise<AgentFleet> } {
  jest.setTimeout(longForm(120_000, 3_600_000));
  let postgres: TestPostgres;
  let closing: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    postgres = await startTestPostgres();
  });
  afterEach(async () => {
    for (const close of closing.reverse()) await close();
    closing = [];
  });
  afterAll(() => postgres.stop());

  return {
    async freshFleet(timing) {
      const { url: databaseUrl, pool } = await postgres.freshDatabase();
      let { controlPlane } = await startCopy(databaseUrl, timing);
      closing.push(() => controlPlane.stop());
      const { url } = controlPlane;
      const operator = await Operator.create(url, databaseUrl);
      const sink = new RecordedSink();
      const agents: Running[] = [];
      return {
        sink,
        pool,
        startAgent: async (workerId, { pool: ofPool = "default", slots = 4 } = {}) => {
          const agent = await start({ workerId, pool: ofPool, slots, url, token: operator.deploymentToken, sink });
          closing.push(agent.close);
          agents.push(agent);
          return agent;
        },
        createJob: (name, props) => operator.createJob(name, props),
        steps: async (jobId) => {
          const { rows } = await pool.query<JobStep>(
            `select action, actor, extract(epoch from at)::float * 1000 as "unixMs", (detail->>'fence')::int as fence
             from audit_log where subject = $1 order by seq`,
            [jobId],
          );
          return rows;
        },
        takeDown: async () => {
          for (const { cable } of agents) cable.cut();
          await controlPlane.stop();
          return async () => {
            const port = Number(new URL(url).port);
            ({ controlPlane } = await startCopy(databaseUrl, timing, { port }));
            for (const { cable } of agents) cable.mend();
          };
        },
      };
    },
  };
}

interface Running extends FleetAgent {
  readonly cable: Awaited<ReturnType<typeof layCable>>;
  close(): Promise<void>;
}

interface Start {
  readonly workerId: string;
  readonly pool: string;
  readonly slots: number;
  readonly url: string;
  readonly token: string;
  readonly sink: RecordedSink;
}

async function start({ workerId, pool, slots, url, token, sink }: Start): Promise<Running> {
  const cable = await layCable(url);
  const metadata = new Map([[STATE, "InService"]]);
  const awsCalls: string[] = [];
  const said: Said<MessageName>[] = [];
  const draining: (() => void)[] = [];
  const [stop, handOver] = [new AbortController(), new AbortController()];
  const daemons = new RecordedDaemons(workerId, sink);
  let drainingAt: number | undefined;
  const log = createLog((line) => {
    if (JSON.parse(line).message !== "draining") return;
    drainingAt = performance.now();
    for (const act of draining) act();
  });
  const call = async (_service: string, action: string, params: AwsParameters) => {
    awsCalls.push(action === "CompleteLifecycleAction" ? `${action} ${params["LifecycleActionResult"]}` : action);
    return {};
  };
  const { drain } = INSTANCE_CONFIG;
  let ports = 0;
  const ended = runAgent(
    { worker: { workerId, agentVersion: "0.2.0", daemonVersion: "0.1.0", pool, labels: {}, slots }, drain },
    {
      log,
      controlPlane: recorded(controlPlaneClient(cable.url), said),
      deploymentToken: async () => token,
      host: daemons,
      api: daemons.api,
      ports: { take: async () => ++ports, keep: () => {}, putBack: () => {} },
      quirks: daemonQuirks({ kind: "reference", version: "0.1.0" }),
      holdLease: () => {},
      notify: async () => {},
      watchdogPeriodMs: undefined,
      cloud: ec2Cloud({
        config: INSTANCE_CONFIG,
        instanceId: workerId,
        aws: { region: "us-east-1", call } as unknown as Aws,
        imds: { get: async (path) => metadata.get(path) },
        log,
      }),
    },
    { stop: stop.signal, handOver: handOver.signal },
  );
  const vanish = async (): Promise<number> => {
    cable.cut();
    daemons.end();
    const at = performance.now();
    handOver.abort();
    await ended;
    return at;
  };
  return {
    workerId,
    metadata,
    awsCalls,
    cable,
    ended,
    get drainingAt() {
      return drainingAt;
    },
    said: <Name extends MessageName>(name: Name) => said.filter((one) => one.name === name) as unknown as Said<Name>[],
    actors: () => said.flatMap(({ message }) => ("sessionId" in message ? [`session:${message.sessionId}`] : [])),
    onDraining: (act) => void draining.push(act),
    stop: () => stop.abort(),
    vanish,
    close: async () => {
      await vanish();
      await cable.close();
    },
  };
}

/** Notes all that is said and answered, and has checkpoints made as often as the agent looks at its daemons. */
function recorded(client: ControlPlaneClient, said: Said<MessageName>[]): ControlPlaneClient {
  return {
    async post(name, message, token, options) {
      const one: Said<typeof name> = { name, message, sentAt: performance.now() };
      said.push(one as unknown as Said<MessageName>);
      const answer = await client.post(name, message, token, options);
      one.answered = { at: performance.now(), unixMs: Date.now(), answer };
      return name === "register" ? { ...answer, progressMs: 1 } : answer;
    },
  };
}
