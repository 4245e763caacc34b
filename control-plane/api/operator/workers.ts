import { recordAudit } from "../../store/audit";
import { transaction } from "../../store/database";
import { listWorkers } from "../../store/inventory";
import { markDraining, readSessions } from "../../store/sessions";
import { revokeSessionTokens } from "../../store/tokens";
import type { ApiContext } from "../context";
import type { Routes } from "../routes";
import { actorOf, DEPLOYMENT, done, listing, notFound, reachable } from "./reach";

export function addWorkerRoutes(routes: Routes, api: ApiContext): void {
  const { pool, waker } = api;
  routes.add({
    method: "get",
    path: `${DEPLOYMENT}/workers`,
    summary: "List workers whose session is open",
    token: "operator",
    answer: listing,
    handle: async (call) => await listWorkers(pool, await reachable(api, call)),
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
        if (!(await markDraining(tx, sessionId, deploymentId))) throw notFound("session", sessionId);
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
}
