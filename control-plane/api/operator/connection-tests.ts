import * as z from "zod";
import { askForTest, readTest } from "../../store/connection-tests";
import type { ApiContext } from "../context";
import { RequestRefused } from "../refusal";
import type { Routes } from "../routes";
import { actorOf, DEPLOYMENT, entry, name, notFound, reachable, withId } from "./reach";

/** The worker's own budget is ten seconds; the rest is for its next heartbeat. */
const DEADLINE_MS = 30_000;

const WantedTest = z.strictObject({
  role: z.enum(["source", "sink"]),
  /** The pool whose workers are to reach the datasource. */
  pool: name.default("default"),
});

export function addConnectionTestRoutes(routes: Routes, api: ApiContext): void {
  const { pool, waker } = api;
  routes.add({
    method: "post",
    path: `${DEPLOYMENT}/datasources/{datasourceId}/test`,
    summary: "Ask a worker to test the connection to a datasource",
    token: "operator",
    body: WantedTest,
    answer: withId,
    handle: async (call) => {
      const deploymentId = await reachable(api, call);
      const datasource = { deploymentId, id: call.params["datasourceId"] ?? "" };
      const wanted = { datasource, ...call.body, deadlineMs: DEADLINE_MS };
      const asked = await askForTest(pool, wanted, actorOf(call.holder));
      if (asked === "not_found") throw notFound("datasource", datasource.id);
      if (asked === "no_worker") {
        const message = `no worker of pool ${call.body.pool} is there that can test connections: start one, or name another pool`;
        throw new RequestRefused(409, "conflict", message);
      }
      waker.sessionTouched(asked.sessionId);
      return { id: asked.id };
    },
  });
  routes.add({
    method: "get",
    path: `${DEPLOYMENT}/connection-tests/{testId}`,
    summary: "Show how a connection test went, step by step",
    token: "operator",
    answer: entry,
    handle: async (call) => {
      const testId = call.params["testId"] ?? "";
      const test = await readTest(pool, await reachable(api, call), testId);
      if (!test) throw notFound("connection test", testId);
      return test;
    },
  });
}
