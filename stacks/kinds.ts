import type { DeploymentKind } from "./deployment-kind";
import { statefulClusterKind } from "./stateful-cluster";

/** Every kind that a document in `deployments/` can name. */
export const KINDS: readonly DeploymentKind[] = [statefulClusterKind];
