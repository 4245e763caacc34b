import type { ApiContext } from "../context";
import type { Routes } from "../routes";
import { addAuditRoutes } from "./audit";
import { addConnectionTestRoutes } from "./connection-tests";
import { addDatasourceRoutes } from "./datasources";
import { addDeploymentRoutes } from "./deployments";
import { addJobRoutes } from "./jobs";
import { addKeyRoutes } from "./keys";
import { addTokenRoutes } from "./tokens";
import { addUpgradeRoutes } from "./upgrades";
import { addWorkerRoutes } from "./workers";

/** Mounts what operators, the command line and the portal use. */
export function addOperatorRoutes(routes: Routes, api: ApiContext): void {
  addDeploymentRoutes(routes, api);
  addTokenRoutes(routes, api);
  addDatasourceRoutes(routes, api);
  addConnectionTestRoutes(routes, api);
  addKeyRoutes(routes, api);
  addJobRoutes(routes, api);
  addWorkerRoutes(routes, api);
  addUpgradeRoutes(routes, api);
  addAuditRoutes(routes, api);
}
