import { existsSync, readFileSync, writeFileSync } from "node:fs";
import * as z from "zod";
import { type ControlPlaneApi, controlPlaneApi } from "../operator/control-plane";
import { verifyAudit } from "../operator/verify-audit";
import type { DatabaseServers } from "./databases";
import { jobName, tableName } from "./schedule";
import type { Destination } from "./severable-proxy";
import { until } from "./until";

const START_DEADLINE_MS = 300_000;

const WithId = z.object({ id: z.string() });
const Job = z.looseObject({
  id: z.string(),
  name: z.string(),
  state: z.string(),
  fence: z.coerce.number(),
  phase: z.string().nullable(),
  workerId: z.string().nullable(),
  lastError: z.string().nullable(),
});
const Upgrade = z.looseObject({ id: z.string(), state: z.string() });
const Session = z.looseObject({ sessionId: z.string(), workerId: z.string() });

export type ListedJob = z.output<typeof Job>;

/** Uses the control plane as people do, through whichever copy answers. */
export class Operator {
  private base = "";

  private constructor(
    private readonly copies: readonly Destination[],
    private readonly token: string,
  ) {}

  /** The first operator, once every copy listens: one of them wrote the token. */
  static async first(copies: readonly Destination[], tokenFile: string): Promise<Operator> {
    await until("every copy of the control plane listens", START_DEADLINE_MS, async () =>
      existsSync(tokenFile) && copies.every(({ port }) => port !== undefined) ? true : undefined,
    );
    return new Operator(copies, readFileSync(tokenFile, "utf8").trim());
  }

  /** Creates a deployment with so many jobs, one for each table of the source; gives the jobs' ids. */
  async describeJobs(databases: DatabaseServers, jobs: number, deploymentTokenFile: string): Promise<string[]> {
    return await this.ask(async (api) => {
      const { id } = await api.post("/api/v1/deployments", { name: "chaos" }, WithId);
      this.base = `/api/v1/deployments/${id}`;
      const sourceId = await this.datasource(api, "source", databases.source.cluster.url);
      const sinkId = await this.datasource(api, "sink", databases.sink.cluster.url);
      const ids: string[] = [];
      for (let job = 0; job < jobs; job++) {
        const options = { FLUSH_INTERVAL_MS: "200" };
        const body = { name: jobName(job), sourceId, sinkId, tables: [`public.${tableName(job)}`], options };
        ids.push((await api.post(`${this.base}/jobs`, body, WithId)).id);
      }
      const { token } = await api.post(
        `${this.base}/tokens`,
        { kind: "deployment" },
        z.looseObject({ token: z.string() }),
      );
      writeFileSync(deploymentTokenFile, `${token}\n`, { mode: 0o600 });
      return ids;
    });
  }

  async jobs(): Promise<readonly ListedJob[]> {
    return await this.ask(async (api) => await api.get(`${this.base}/jobs`, z.array(Job)));
  }

  /** Whether every job has copied its tables and follows the changes. */
  async allStream(): Promise<boolean> {
    return (await this.jobs()).every(({ state, phase }) => state === "running" && phase === "streaming");
  }

  /** Asks for a job to run, or to stop in a way that lets it go on later. */
  async want(jobId: string, wish: "run" | "stop"): Promise<void> {
    await this.ask(async (api) => await api.post(`${this.base}/jobs/${jobId}/${wish}`, {}, z.looseObject({})));
  }

  /** Asks for a worker to be drained; false when it has no open session. */
  async drain(worker: string): Promise<boolean> {
    return await this.ask(async (api) => {
      const sessions = await api.get(`${this.base}/workers`, z.array(Session));
      const session = sessions.find(({ workerId }) => workerId === worker);
      if (!session) return false;
      await api.post(`${this.base}/workers/${session.sessionId}/drain`, {}, z.looseObject({}));
      return true;
    });
  }

  /** Gives a release to the workers of the pool; gives the upgrade's id. */
  async upgrade(release: object): Promise<string> {
    return (await this.ask(async (api) => await api.post(`${this.base}/upgrades`, release, WithId))).id;
  }

  async upgradeState(id: string): Promise<string | undefined> {
    const upgrades = await this.ask(async (api) => await api.get(`${this.base}/upgrades`, z.array(Upgrade)));
    return upgrades.find((upgrade) => upgrade.id === id)?.state;
  }

  async abortUpgrade(id: string): Promise<void> {
    await this.ask(async (api) => await api.post(`${this.base}/upgrades/${id}/abort`, {}, z.looseObject({})));
  }

  /** Number of the first entry of the audit log that does not fit to the one before; null when all fit. */
  async auditTamperedAt(): Promise<number | null> {
    return await this.ask(async (api) => await verifyAudit(api, `${this.base}/audit`));
  }

  private async datasource(api: ControlPlaneApi, name: string, clusterUrl: string): Promise<string> {
    const url = new URL(clusterUrl);
    const { username: user, password } = url;
    url.username = "";
    url.password = "";
    const body = { name, engine: "postgres", url: url.href, user, password };
    return (await api.post(`${this.base}/datasources`, body, WithId)).id;
  }

  /** @throws Error when no copy answers. */
  private async ask<T>(question: (api: ControlPlaneApi) => Promise<T>): Promise<T> {
    let failure: unknown = new Error("no copy of the control plane listens");
    for (const { port } of this.copies) {
      if (port === undefined) continue;
      try {
        return await question(controlPlaneApi(`http://127.0.0.1:${port}`, this.token));
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }
}
