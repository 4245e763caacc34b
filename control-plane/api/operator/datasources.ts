import * as z from "zod";
import { createDatasource } from "../../store/catalog";
import { changeDatasource, deleteDatasource } from "../../store/datasources";
import { listDatasources } from "../../store/inventory";
import type { ApiContext } from "../context";
import type { Routes } from "../routes";
import { PageQuery, pageOf } from "./page";
import {
  actorOf,
  conflictsRefused,
  DEPLOYMENT,
  done,
  listing,
  name,
  notFound,
  optionKey,
  reachable,
  settings,
  text,
  withId,
} from "./reach";

const url = z
  .url()
  .max(4096)
  .refine(hasNoCredentials, "the URL must not hold credentials: use user and password")
  .refine(isDecodable, "the URL cannot be decoded: write %25 for a % that begins no escape");

/** Daemons are given it in a variable of their environment. */
const credential = text.refine((value) => !value.includes("\0"), "a NUL cannot be given to a daemon: leave it out");

const NewDatasource = z.strictObject({
  name,
  engine: z.enum(["postgres", "mysql", "starrocks", "snowflake"]),
  url,
  user: credential,
  password: credential,
  options: settings,
});

/** What is left out stays, for which options have no default here. Workers get the change with their next grant of a job. */
const Change = z
  .strictObject({
    url,
    user: credential,
    password: credential,
    options: settings.unwrap().describe("All options that there are from then on"),
    setOptions: settings.unwrap().describe("Options to set; the others stay as they are"),
    removeOptions: z.array(optionKey).describe("Keys of options to remove; the others stay as they are"),
  })
  .partial()
  .superRefine(({ options, setOptions, removeOptions, ...others }, refine) => {
    const refuse = (message: string) => refine.addIssue({ code: "custom", message });
    const some = setOptions ?? removeOptions;
    const isNothing = Object.keys(others).length === 0 && !options && !some;
    if (isNothing) refuse("name what to change: url, user, password, options, setOptions or removeOptions");
    if (options && some) refuse("name either options, which are all that there are, or setOptions and removeOptions");
    const both = removeOptions?.find((key) => setOptions && Object.hasOwn(setOptions, key));
    if (both !== undefined) refuse(`option ${both} is to be set and removed`);
  });

export function addDatasourceRoutes(routes: Routes, api: ApiContext): void {
  const { pool, keyring } = api;
  const datasources = `${DEPLOYMENT}/datasources`;
  routes.add({
    method: "post",
    path: datasources,
    summary: "Create a datasource; its password is sealed and never shown again",
    token: "operator",
    body: NewDatasource,
    answer: withId,
    handle: async (call) => {
      const deploymentId = await reachable(api, call);
      const created = createDatasource(pool, keyring, deploymentId, call.body, actorOf(call.holder));
      return { id: await conflictsRefused(created) };
    },
  });
  routes.add({
    method: "get",
    path: datasources,
    summary: "List datasources, by name",
    token: "operator",
    query: PageQuery,
    answer: listing,
    handle: async (call) => await listDatasources(pool, await reachable(api, call), pageOf(call, PageQuery)),
  });
  routes.add({
    method: "post",
    path: `${datasources}/{datasourceId}`,
    summary: "Change a datasource: its URL, user, password or options",
    token: "operator",
    body: Change,
    answer: z.object({ version: z.int() }),
    handle: async (call) => {
      const deploymentId = await reachable(api, call);
      const id = call.params["datasourceId"] ?? "";
      const version = await changeDatasource(pool, keyring, { deploymentId, id }, call.body, actorOf(call.holder));
      if (version === "not_found") throw notFound("datasource", id);
      return { version };
    },
  });
  routes.add({
    method: "delete",
    path: `${datasources}/{datasourceId}`,
    summary: "Delete a datasource that no job uses, and its password with it",
    token: "operator",
    answer: done,
    handle: async (call) => {
      const deploymentId = await reachable(api, call);
      const id = call.params["datasourceId"] ?? "";
      const deleted = await conflictsRefused(deleteDatasource(pool, { deploymentId, id }, actorOf(call.holder)));
      if (deleted === "not_found") throw notFound("datasource", id);
      return {};
    },
  });
}

function isDecodable(value: string): boolean {
  try {
    decodeURIComponent(value);
    return true;
  } catch {
    return false;
  }
}

/** True also of what is no URL, which is said already. */
function hasNoCredentials(value: string): boolean {
  if (!URL.canParse(value)) return true;
  const { username, password } = new URL(value);
  return username === "" && password === "";
}
