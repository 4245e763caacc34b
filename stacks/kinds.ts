import type { DeploymentKind } from "./deployment-kind";
import { statefulCluster } from "./stateful-cluster";
import { workerFleet } from "./worker-fleet";

/** Every kind that a document in `deployments/` can name. */
export const KINDS: readonly DeploymentKind[] = [workerFleet, statefulCluster];
