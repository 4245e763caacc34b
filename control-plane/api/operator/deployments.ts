import * as z from "zod";
import { createDeployment } from "../../store/catalog";
import { listDeployments } from "../../store/inventory";
import type { ApiContext } from "../context";
import type { Routes } from "../routes";
import { PageQuery, pageOf } from "./page";
import { actorOf, conflictsRefused, listing, name, ofAllDeployments, withId } from "./reach";

export function addDeploymentRoutes(routes: Routes, { pool }: ApiContext): void {
  routes.add({
    method: "post",
    path: "/api/v1/deployments",
    summary: "Create a deployment",
    token: "operator",
    body: z.strictObject({ name }),
    answer: withId,
    handle: async ({ holder, body }) => {
      ofAllDeployments(holder);
      return { id: await conflictsRefused(createDeployment(pool, body.name, actorOf(holder))) };
    },
  });
  routes.add({
    method: "get",
    path: "/api/v1/deployments",
    summary: "List deployments, by name",
    token: "operator",
    query: PageQuery,
    answer: listing,
    handle: async (call) => await listDeployments(pool, call.holder.deploymentId, pageOf(call, PageQuery)),
  });
}
