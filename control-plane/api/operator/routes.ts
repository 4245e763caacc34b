import type { ApiContext } from "../context";
import type { Routes } from "../routes";
import { addAuditRoutes } from "./audit";
import { addDatasourceRoutes } from "./datasources";
import { addDeploymentRoutes } from "./deployments";
import { addJobRoutes } from "./jobs";
import { addTokenRoutes } from "./tokens";
import { addWorkerRoutes } from "./workers";

/** Mounts what operators, the command line and the portal use. */
export function addOperatorRoutes(routes: Routes, api: ApiContext): void {
  addDeploymentRoutes(routes, api);
  addTokenRoutes(routes, api);
  addDatasourceRoutes(routes, api);
  addJobRoutes(routes, api);
  addWorkerRoutes(routes, api);
  addAuditRoutes(routes, api);
}
