/** What the fleet's operator describes: one deployment with one job, over the same API that people use. */

import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import * as z from "zod";
import { databaseUrl } from "../../control-plane/store/private-cluster";
import type { ControlPlaneApi } from "../operator/control-plane";
import { NAMES, type Side, setPassword, USERS } from "./databases";
import type { StateFolder } from "./state-folder";

const DEPLOYMENT = "local";
const JOB = "orders";

const Named = z.array(z.looseObject({ id: z.string(), name: z.string(), url: z.string().optional() }));
const WithId = z.object({ id: z.string() });

export interface Catalog {
  /** Where all of the deployment lives in the API. */
  readonly base: string;
  readonly deploymentTokenFile: string;
}

/** Creates what is missing and moves datasources to where the server is now. */
export async function describeFleet(api: ControlPlaneApi, serverUrl: string, state: StateFolder): Promise<Catalog> {
  const deployments = await api.get("/api/v1/deployments", Named);
  const { id } =
    deployments.find(({ name }) => name === DEPLOYMENT) ??
    (await api.post("/api/v1/deployments", { name: DEPLOYMENT }, WithId));
  const base = `/api/v1/deployments/${id}`;
  const sourceId = await datasource(api, base, serverUrl, "source");
  const sinkId = await datasource(api, base, serverUrl, "sink");
  const jobs = await api.get(`${base}/jobs`, Named);
  if (!jobs.some(({ name }) => name === JOB)) {
    const options = { FLUSH_INTERVAL_MS: "200" };
    await api.post(`${base}/jobs`, { name: JOB, sourceId, sinkId, tables: ["public.orders"], options }, WithId);
  }
  return { base, deploymentTokenFile: await deploymentToken(api, base, state) };
}

async function datasource(api: ControlPlaneApi, base: string, serverUrl: string, side: Side): Promise<string> {
  const server = new URL(databaseUrl(serverUrl, NAMES[side]));
  const url = `postgres://${server.host}${server.pathname}`;
  const known = (await api.get(`${base}/datasources`, Named)).find(({ name }) => name === NAMES[side]);
  if (known) {
    if (known.url !== url) await api.post(`${base}/datasources/${known.id}`, { url }, z.object({}));
    return known.id;
  }
  const password = randomBytes(24).toString("base64url");
  await setPassword(serverUrl, USERS[side], password);
  const wanted = { name: NAMES[side], engine: "postgres", url, user: USERS[side], password };
  return (await api.post(`${base}/datasources`, wanted, WithId)).id;
}

async function deploymentToken(api: ControlPlaneApi, base: string, state: StateFolder): Promise<string> {
  const file = state.file("deployment-token");
  if (existsSync(file)) return file;
  const { token } = await api.post(`${base}/tokens`, { kind: "deployment" }, z.object({ token: z.string() }));
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  chmodSync(file, 0o600);
  return file;
}
