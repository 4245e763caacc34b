import * as z from "zod";
import {
  createUpgrade,
  listUpgrades,
  listUpgradeWorkers,
  stepUpgrade,
  UPGRADE_STEPS,
  type UpgradeStep,
} from "../../store/upgrades";
import type { ApiContext } from "../context";
import type { Routes } from "../routes";
import { PageByIdQuery, PageQuery, pageByIdOf, pageOf } from "./page";
import { actorOf, conflictsRefused, DEPLOYMENT, done, listing, name, notFound, reachable, withId } from "./reach";

const MAX_MS = 86_400_000;

const NewUpgrade = z.strictObject({
  pool: name.default("default"),
  program: z.enum(["agent", "daemon"]),
  version: name,
  /** Plain HTTP only where nothing leaves the worker's machine. */
  url: z
    .url({ protocol: /^https?$/, error: "write an https URL" })
    .refine((url) => /^(https:|http:\/\/127\.0\.0\.1[:/])/.test(url), "write an https URL")
    .max(4096),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "write 64 hex digits in lower case"),
  signature: z.string().regex(/^[\w+/=-]{1,4096}$/, "write the signature in base64"),
  /** Without it a worker refuses a version older than its own. */
  downgrade: z.boolean().default(false),
  waveSize: z.int().min(1).max(1_000).default(1),
  soakMs: z.int().min(0).max(MAX_MS).default(60_000),
  deadlineMs: z.int().min(1_000).max(MAX_MS).default(900_000),
});

const SUMMARIES: Readonly<Record<UpgradeStep, string>> = {
  pause: "Ask no further worker to upgrade until the upgrade is resumed",
  resume: "Go on with a paused upgrade",
  abort: "Ask no further worker to upgrade, for good",
};

export function addUpgradeRoutes(routes: Routes, api: ApiContext): void {
  const { pool, waker } = api;
  routes.add({
    method: "post",
    path: `${DEPLOYMENT}/upgrades`,
    summary: "Give a version of the agent or the daemon to a pool's workers, wave by wave",
    token: "operator",
    body: NewUpgrade,
    answer: withId,
    handle: async (call) => {
      const deploymentId = await reachable(api, call);
      const creation = createUpgrade(pool, deploymentId, call.body, actorOf(call.holder));
      const { id, asked } = await conflictsRefused(creation);
      for (const session of asked) waker.sessionTouched(session);
      return { id };
    },
  });
  routes.add({
    method: "get",
    path: `${DEPLOYMENT}/upgrades`,
    summary: "List upgrades, newest first, with how many workers were asked and are healthy",
    token: "operator",
    query: PageByIdQuery,
    answer: listing,
    handle: async (call) => {
      const deploymentId = await reachable(api, call);
      return await listUpgrades(pool, deploymentId, await pageByIdOf(call, pool, "upgrades", deploymentId));
    },
  });
  routes.add({
    method: "get",
    path: `${DEPLOYMENT}/upgrades/{upgradeId}/workers`,
    summary: "List the workers that an upgrade asked, by worker id",
    token: "operator",
    query: PageQuery,
    answer: listing,
    handle: async (call) => {
      const id = call.params["upgradeId"] ?? "";
      const workers = await listUpgradeWorkers(pool, await reachable(api, call), id, pageOf(call, PageQuery));
      if (workers === "not_found") throw notFound("upgrade", id);
      return workers;
    },
  });
  for (const step of UPGRADE_STEPS) {
    routes.add({
      method: "post",
      path: `${DEPLOYMENT}/upgrades/{upgradeId}/${step}`,
      summary: SUMMARIES[step],
      token: "operator",
      answer: done,
      handle: async (call) => {
        const id = call.params["upgradeId"] ?? "";
        const deploymentId = await reachable(api, call);
        const stepped = await stepUpgrade(pool, deploymentId, id, step, actorOf(call.holder));
        if (!stepped) throw notFound(`${step === "resume" ? "paused" : "running"} upgrade`, id);
        return {};
      },
    });
  }
}
