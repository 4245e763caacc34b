import { PRIVATE_LINK_MODULE } from "./private-link/published-module";
import type { PublishedModule } from "./publish/published-module";
import { STATEFUL_CLUSTER_MODULE } from "./stateful-cluster/published-module";
import { WORKER_FLEET_MODULE } from "./worker-fleet/published-module";

/** Every module that `npm run publish-module` can write. */
export const PUBLISHED_MODULES: readonly PublishedModule[] = [
  PRIVATE_LINK_MODULE,
  STATEFUL_CLUSTER_MODULE,
  WORKER_FLEET_MODULE,
];
