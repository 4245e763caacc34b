import * as z from "zod";
import { findAuditTampering, recordAudit } from "../store/audit";
import { CatalogConflict, createDatasource, createDeployment, createJob } from "../store/catalog";
import { transaction } from "../store/database";
import { listAudit, listDeployments, listJobs, listWorkers, readJob } from "../store/inventory";
import { applyToJob } from "../store/jobs";
import { markDraining } from "../store/sessions";
import { issueToken, revokeToken, type TokenHolder } from "../store/tokens";
import type { ApiContext } from "./context";
import { RequestRefused } from "./refusal";
import type { Routes } from "./routes";

const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, "letters, digits, dots, dashes, underscores; at most 128");
const text = z.string().max(4096);
const settings = z.record(z.string().max(128), text).default({});
const withId = z.object({ id: z.uuid() });
const done = z.object({});

const NewDatasource = z.strictObject({
  name,
  engine: z.enum(["postgres", "mysql", "starrocks", "snowflake"]),
  url: z.url().max(4096).refine(hasNoCredentials, "the URL must not hold credentials: use user and password"),
  user: text,
  password: text,
  options: settings,
});

const NewJob = z.strictObject({
  name,
  sourceId: z.uuid(),
  sinkId: z.uuid(),
  tables: z.array(z.string().min(1).max(256)).min(1).max(10_000),
  snapshot: z.boolean().default(true),
  options: settings,
  pool: name.default("default"),
  /** Labels a worker must have, with these values. */
  labels: z.record(z.string().max(128), z.string().max(256)).default({}),
  /** Smaller is sooner. */
  priority: z.int().min(0).max(1_000).default(100),
  onDisconnect: z.enum(["stop", "keep"]).default("stop"),
  maxRetries: z.int().min(0).max(1_000).default(10),
  /** Without it the job waits in state `created` until it is run. */
  run: z.boolean().default(true),
});

const NewToken = z.strictObject({
  kind: z.enum(["deployment", "operator"]),
  expiresInMs: z.int().min(1_000).max(315_576_000_000).optional(),
});

const listing = z.array(z.record(z.string(), z.unknown()));

/** Mounts what operators and the portal use. */
export function addOperatorRoutes(routes: Routes, api: ApiContext): void {
  const { pool } = api;
  const deployment = "/api/v1/deployments/{deploymentId}";

  routes.add({
    method: "post",
    path: "/api/v1/deployments",
    summary: "Create a deployment",
    token: "operator",
    body: z.strictObject({ name }),
    answer: withId,
    handle: async ({ holder, body }) => {
      if (holder.deploymentId) throw new RequestRefused(403, "token_scope", "the token belongs to one deployment");
      return { id: await conflictsRefused(createDeployment(pool, body.name, actorOf(holder))) };
    },
  });
  routes.add({
    method: "get",
    path: "/api/v1/deployments",
    summary: "List deployments",
    token: "operator",
    answer: listing,
    handle: async ({ holder }) => await listDeployments(pool, holder.deploymentId),
  });
  routes.add({
    method: "post",
    path: `${deployment}/tokens`,
    summary: "Issue a token; it is shown this once",
    token: "operator",
    body: NewToken,
    answer: z.object({ id: z.uuid(), token: z.string() }),
    handle: async ({ holder, params, body }) => {
      const deploymentId = await reachable(api, holder, params);
      return await transaction(pool, async (tx) => {
        const issued = await issueToken(tx, {
          kind: body.kind,
          deploymentId,
          ...(body.expiresInMs !== undefined && { expiresInMs: body.expiresInMs }),
        });
        const detail = { kind: body.kind };
        await recordAudit(tx, {
          deploymentId,
          actor: actorOf(holder),
          action: "token.issue",
          subject: issued.id,
          detail,
        });
        return issued;
      });
    },
  });
  routes.add({
    method: "delete",
    path: `${deployment}/tokens/{tokenId}`,
    summary: "Revoke a token",
    token: "operator",
    answer: done,
    handle: async ({ holder, params }) => {
      const deploymentId = await reachable(api, holder, params);
      const tokenId = params["tokenId"] ?? "";
      await transaction(pool, async (tx) => {
        if (!(await revokeToken(tx, tokenId, deploymentId))) throw notFound("token", tokenId);
        await recordAudit(tx, { deploymentId, actor: actorOf(holder), action: "token.revoke", subject: tokenId });
      });
      return {};
    },
  });
  routes.add({
    method: "post",
    path: `${deployment}/datasources`,
    summary: "Create a datasource; its password is sealed and never shown again",
    token: "operator",
    body: NewDatasource,
    answer: withId,
    handle: async ({ holder, params, body }) => {
      const deploymentId = await reachable(api, holder, params);
      const created = createDatasource(pool, api.keyring, deploymentId, body, actorOf(holder));
      return { id: await conflictsRefused(created) };
    },
  });
  routes.add({
    method: "post",
    path: `${deployment}/jobs`,
    summary: "Create a job",
    token: "operator",
    body: NewJob,
    answer: withId,
    handle: async ({ holder, params, body }) => {
      const deploymentId = await reachable(api, holder, params);
      const id = await conflictsRefused(createJob(pool, deploymentId, body, actorOf(holder)));
      if (body.run) await wish(api, holder, deploymentId, id, "run");
      return { id };
    },
  });
  routes.add({
    method: "get",
    path: `${deployment}/jobs`,
    summary: "List jobs",
    token: "operator",
    answer: listing,
    handle: async ({ holder, params }) => await listJobs(pool, await reachable(api, holder, params)),
  });
  routes.add({
    method: "get",
    path: `${deployment}/jobs/{jobId}`,
    summary: "Show a job",
    token: "operator",
    answer: z.record(z.string(), z.unknown()),
    handle: async ({ holder, params }) => {
      const jobId = params["jobId"] ?? "";
      const job = await readJob(pool, await reachable(api, holder, params), jobId);
      if (!job) throw notFound("job", jobId);
      return job;
    },
  });
  for (const desired of ["run", "pause", "stop", "delete"] as const) {
    routes.add({
      method: "post",
      path: `${deployment}/jobs/{jobId}/${desired}`,
      summary: `Ask a job to ${desired}`,
      token: "operator",
      answer: z.object({ state: z.string() }),
      handle: async ({ holder, params }) =>
        await wish(api, holder, await reachable(api, holder, params), params["jobId"] ?? "", desired),
    });
  }
  routes.add({
    method: "get",
    path: `${deployment}/workers`,
    summary: "List workers whose session is open",
    token: "operator",
    answer: listing,
    handle: async ({ holder, params }) => await listWorkers(pool, await reachable(api, holder, params)),
  });
  routes.add({
    method: "post",
    path: `${deployment}/workers/{sessionId}/drain`,
    summary: "Give a worker no more work and ask it to hand over what it runs",
    token: "operator",
    answer: done,
    handle: async ({ holder, params }) => {
      const deploymentId = await reachable(api, holder, params);
      const sessionId = params["sessionId"] ?? "";
      await transaction(pool, async (tx) => {
        if (!(await markDraining(tx, sessionId, deploymentId))) throw notFound("session", sessionId);
        await recordAudit(tx, { deploymentId, actor: actorOf(holder), action: "worker.drain", subject: sessionId });
      });
      api.waker.sessionTouched(sessionId);
      return {};
    },
  });
  routes.add({
    method: "get",
    path: `${deployment}/audit`,
    summary: "Read the audit log, oldest first, 500 entries after the one numbered by the query's `after`",
    token: "operator",
    answer: listing,
    handle: async ({ holder, params, query }) => {
      const after = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).catch(0).parse(query["after"]);
      return await listAudit(pool, await reachable(api, holder, params), after);
    },
  });
  routes.add({
    method: "get",
    path: `${deployment}/audit/verify`,
    summary: "Verify the audit log's chain; gives the number of the first entry that does not fit",
    token: "operator",
    answer: z.object({ tamperedAt: z.int().nullable() }),
    handle: async ({ holder, params }) => ({
      tamperedAt: await findAuditTampering(pool, await reachable(api, holder, params)),
    }),
  });
}

const actorOf = ({ tokenId }: TokenHolder): string => `operator:${tokenId}`;

const notFound = (what: string, id: string): RequestRefused =>
  new RequestRefused(404, "not_found", `there is no ${what} ${id} in the deployment`);

/** The deployment of the path, if it exists and the token reaches it. A foreign one looks like one that does not exist. */
async function reachable(
  { pool }: ApiContext,
  holder: TokenHolder,
  params: Readonly<Record<string, string>>,
): Promise<string> {
  const id = params["deploymentId"] ?? "";
  const known = (await listDeployments(pool, holder.deploymentId)).some((deployment) => deployment["id"] === id);
  if (!known) throw new RequestRefused(404, "not_found", `there is no deployment ${id}`);
  return id;
}

async function wish(
  api: ApiContext,
  holder: TokenHolder,
  deploymentId: string,
  jobId: string,
  desired: "run" | "pause" | "stop" | "delete",
): Promise<{ state: string }> {
  const job = await transaction(api.pool, (tx) =>
    applyToJob(tx, jobId, { type: desired }, actorOf(holder), deploymentId),
  );
  if (job === "not_found") throw notFound("job", jobId);
  if (typeof job === "string") {
    throw new RequestRefused(409, "conflict", `the job cannot ${desired} in the state it is in: read it to see which`);
  }
  if (job.session) api.waker.sessionTouched(job.session);
  else api.waker.jobsReady();
  return { state: job.state };
}

async function conflictsRefused<T>(work: Promise<T>): Promise<T> {
  return await work.catch((error: unknown) => {
    throw error instanceof CatalogConflict ? new RequestRefused(409, "conflict", error.message) : error;
  });
}

function hasNoCredentials(url: string): boolean {
  const { username, password } = new URL(url);
  return username === "" && password === "";
}
