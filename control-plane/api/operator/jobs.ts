import { randomUUID } from "node:crypto";
import * as z from "zod";
import { transaction } from "../../store/database";
import { acknowledgeGap } from "../../store/gaps";
import { listJobs, readJob } from "../../store/inventory";
import { wishOfJob } from "../../store/jobs";
import type { ApiContext } from "../context";
import { RequestRefused, tokenInvalid } from "../refusal";
import { type Call, type Routes, uuid } from "../routes";
import { PageQuery, pageOf } from "./page";
import {
  actorOf,
  conflictsRefused,
  DEPLOYMENT,
  done,
  entry,
  listing,
  name,
  notFound,
  reachable,
  settings,
  text,
  withId,
} from "./reach";

const NewJob = z.strictObject({
  name,
  sourceId: uuid,
  sinkId: uuid,
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

/** As the job was shown; empty: the position is not known. */
const SeenGap = z.strictObject({ gapAfter: text });

const Wished = z.object({
  state: z.string(),
  /**
   * Of a job that is deleted while no worker runs it, and was granted to one before: the replication slot that may be left in its source,
   * a datasource, and the statement that removes it there.
   */
  leftSlot: z.object({ slot: z.string(), source: z.string(), drop: z.string() }).optional(),
});

export function addJobRoutes(routes: Routes, api: ApiContext): void {
  const { pool } = api;
  routes.add({
    method: "post",
    path: `${DEPLOYMENT}/jobs`,
    summary: "Create a job",
    token: "operator",
    checksToken: true,
    body: NewJob,
    answer: withId,
    handle: async (call) => {
      const deploymentId = await reachable(api, call);
      const { run, ...job } = call.body;
      const placement = { deploymentId, pool: job.pool, labels: job.labels };
      if (run) api.waker.jobComing(placement);
      const id = randomUUID();
      const { tokenId } = call.holder;
      const creation = { id, deploymentId, tokenId, job, run, actor: actorOf(call.holder) };
      const created = await conflictsRefused(api.jobWrites.create(creation));
      if (created === "refused") throw tokenInvalid();
      if (run && created === "waiting") api.waker.jobReady(placement);
      return { id };
    },
  });
  routes.add({
    method: "get",
    path: `${DEPLOYMENT}/jobs`,
    summary: "List jobs, by name",
    token: "operator",
    query: PageQuery,
    answer: listing,
    handle: async (call) => await listJobs(pool, await reachable(api, call), pageOf(call, PageQuery)),
  });
  routes.add({
    method: "get",
    path: `${DEPLOYMENT}/jobs/{jobId}`,
    summary: "Show a job",
    token: "operator",
    answer: entry,
    handle: async (call) => {
      const jobId = call.params["jobId"] ?? "";
      const job = await readJob(pool, await reachable(api, call), jobId);
      if (!job) throw notFound("job", jobId);
      return job;
    },
  });
  for (const desired of ["run", "pause", "stop", "delete"] as const) {
    routes.add({
      method: "post",
      path: `${DEPLOYMENT}/jobs/{jobId}/${desired}`,
      summary: `Ask a job to ${desired}`,
      token: "operator",
      answer: Wished,
      handle: async (call) => await wish(api, call, await reachable(api, call), call.params["jobId"] ?? "", desired),
    });
  }
  routes.add({
    method: "post",
    path: `${DEPLOYMENT}/jobs/{jobId}/acknowledge-gap`,
    summary:
      "Say that the changes of a job that may be missing after a position were dealt with, which removes its mark",
    token: "operator",
    body: SeenGap,
    answer: done,
    handle: async (call) => {
      const deploymentId = await reachable(api, call);
      const jobId = call.params["jobId"] ?? "";
      const { gapAfter } = call.body;
      const said = await acknowledgeGap(pool, { deploymentId, jobId, gapAfter }, actorOf(call.holder));
      if (said === "not_found") throw notFound("job", jobId);
      if (said !== "acknowledged") throw anotherGap(said.toldSince);
      return {};
    },
  });
}

const anotherGap = (gapAfter: string): RequestRefused =>
  new RequestRefused(
    409,
    "conflict",
    `changes may be missing after ${gapAfter || "an unknown position"}, which was told since: deal with that, too`,
  );

async function wish(
  api: ApiContext,
  { holder }: Call<unknown>,
  deploymentId: string,
  jobId: string,
  desired: "run" | "pause" | "stop" | "delete",
): Promise<z.input<typeof Wished>> {
  const { job, leftSlot } = await transaction(api.pool, (tx) =>
    wishOfJob(tx, { jobId, desired, deploymentId }, actorOf(holder)),
  );
  if (job === "not_found") throw notFound("job", jobId);
  if (typeof job === "string") {
    throw new RequestRefused(409, "conflict", `the job cannot ${desired} in the state it is in: read it to see which`);
  }
  if (job.session) api.waker.sessionTouched(job.session);
  else api.waker.jobsReady();
  return { state: job.state, leftSlot };
}
