import * as z from "zod";
import { recordAudit } from "../../store/audit";
import { transaction } from "../../store/database";
import { listWorkers } from "../../store/inventory";
import { declareGone, type NotGone, orderDrain, readSessions } from "../../store/sessions";
import { revokeSessionTokens } from "../../store/tokens";
import type { ApiContext } from "../context";
import { RequestRefused } from "../refusal";
import type { Routes } from "../routes";
import { PageQuery, pageOf } from "./page";
import { actorOf, DEPLOYMENT, done, listing, notFound, reachable } from "./reach";

/** Jobs that the worker held and others may have now. */
const Freed = z.object({ freed: z.int() });

export function addWorkerRoutes(routes: Routes, api: ApiContext): void {
  const { pool, timing, waker } = api;
  routes.add({
    method: "get",
    path: `${DEPLOYMENT}/workers`,
    summary: "List workers whose session is open, by worker id",
    token: "operator",
    query: PageQuery,
    answer: listing,
    handle: async (call) => await listWorkers(pool, await reachable(api, call), pageOf(call, PageQuery)),
  });
  routes.add({
    method: "post",
    path: `${DEPLOYMENT}/workers/{sessionId}/drain`,
    summary: "Give a worker no more work and ask it to hand over what it runs",
    token: "operator",
    answer: done,
    handle: async (call) => {
      const deploymentId = await reachable(api, call);
      const sessionId = call.params["sessionId"] ?? "";
      await transaction(pool, async (tx) => {
        if (!(await orderDrain(tx, sessionId, deploymentId))) throw notFound("session", sessionId);
        recordAudit(tx, {
          deploymentId,
          actor: actorOf(call.holder),
          action: "worker.drain",
          subject: sessionId,
        });
      });
      waker.sessionTouched(sessionId);
      return {};
    },
  });
  routes.add({
    method: "post",
    path: `${DEPLOYMENT}/workers/{sessionId}/revoke`,
    summary: "Revoke a worker's token; it goes on only if the deployment's token still registers it",
    token: "operator",
    answer: done,
    handle: async (call) => {
      const deploymentId = await reachable(api, call);
      const sessionId = call.params["sessionId"] ?? "";
      await transaction(pool, async (tx) => {
        const session = (await readSessions(tx, [sessionId], [])).get(sessionId);
        if (session?.deploymentId !== deploymentId) throw notFound("session", sessionId);
        await revokeSessionTokens(tx, sessionId);
        recordAudit(tx, {
          deploymentId,
          actor: actorOf(call.holder),
          action: "worker.revoke",
          subject: sessionId,
        });
      });
      waker.sessionTouched(sessionId);
      return {};
    },
  });
  routes.add({
    method: "post",
    path: `${DEPLOYMENT}/workers/{sessionId}/gone`,
    summary: "Say of a silent worker that its instance is gone, which frees what it holds, kept jobs too",
    token: "operator",
    answer: Freed,
    handle: async (call) => {
      const deploymentId = await reachable(api, call);
      const sessionId = call.params["sessionId"] ?? "";
      const freed = await declareGone(pool, timing, { deploymentId, sessionId }, actorOf(call.holder));
      if (typeof freed === "string") throw notGone(freed, sessionId, timing.serverLeaseMs);
      waker.sessionTouched(sessionId);
      waker.jobsReady();
      return { freed };
    },
  });
}

function notGone(why: NotGone, sessionId: string, serverLeaseMs: number): RequestRefused {
  if (why === "not_found") return notFound("open session", sessionId);
  const message =
    why === "alive"
      ? "the worker still sends heartbeats, so it is not gone: drain it"
      : `the control plane was away itself: ask again in ${Math.ceil(serverLeaseMs / 1_000)} s, by when workers that are alive are back`;
  return new RequestRefused(409, "conflict", message);
}
