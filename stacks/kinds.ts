import type { DeploymentKind } from "./deployment-kind";

/** Every kind that a document in `deployments/` can name. */
export const KINDS: readonly DeploymentKind[] = [];
