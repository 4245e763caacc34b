import type { z } from "zod";
import { fleetSchema } from "../../modules/worker-fleet/fleet-schema";
import type { poolSchema } from "../../modules/worker-fleet/pool-schema";

type FleetInput = z.input<typeof fleetSchema>;
type PoolInput = z.input<typeof poolSchema>;

export const TOKEN_ARN = "arn:aws:secretsmanager:us-west-2:111122223333:secret:ez-cdc/token-Ab12Cd";
export const KEY_ARN = "arn:aws:kms:us-west-2:111122223333:key/5b1c3d9e-2f64-4e7b-8a10-3c2d1e0f9a02";

export const SMALL_POOL: PoolInput = { instance_types: ["c7g.large"], size: { min: 0, max: 4 } };

/** The least that a document has to say, and what `overrides` say instead. */
export function fleetSettings(overrides: Partial<FleetInput> = {}) {
  return fleetSchema.parse({
    control_plane: { url: "https://control.example.com", token: { secrets_manager_arn: TOKEN_ARN } },
    network: { vpc_id: "vpc-1", subnet_ids: ["subnet-1", "subnet-2"], route_table_ids: ["rtb-1"] },
    daemon_release: { version: "1.8.0", sha256: { arm64: "a".repeat(64), x86_64: "b".repeat(64) } },
    pools: { cdc: SMALL_POOL },
    ...overrides,
  });
}
