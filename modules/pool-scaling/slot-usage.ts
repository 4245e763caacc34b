import type { MetricMath } from "../worker-observability/metric-query";
import { type PoolIdentity, poolMetric } from "../worker-observability/metrics";

/**
 * Share of the pool's job slots in use, in percent. Without workers it has no value, and target tracking does nothing: the
 * backlog brings the first instance.
 */
export function slotUsage(identity: PoolIdentity): MetricMath {
  return {
    label: "slots in use, percent",
    expression: "100 * used / (used + free)",
    terms: {
      used: { metric: poolMetric(identity, "SlotsUsed"), statistic: "Sum" },
      free: { metric: poolMetric(identity, "SlotsFree"), statistic: "Sum" },
    },
  };
}
