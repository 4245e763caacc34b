import catalogue from "../../agent/worker/metric-catalogue.json";

/** Names the workers of one pool; the prefix of every name and the value of every dimension below. Values may be tokens. */
export interface PoolIdentity {
  /** @default "ez-cdc" */
  readonly product?: string;
  readonly deployment: string;
  readonly pool: string;
}

export const DEFAULT_PRODUCT = "ez-cdc";

/** A name in the worker metric catalogue. */
export type WorkerMetricName = keyof typeof catalogue.metrics;

/** One CloudWatch metric: what PutMetricData was called with. */
export interface Metric {
  readonly namespace: string;
  readonly metricName: string;
  readonly dimensions: Readonly<Record<string, string>>;
}

/** `{product}-{deployment}-{pool}`: how everything that belongs to one pool is named. */
export function poolPrefix({ product = DEFAULT_PRODUCT, deployment, pool }: PoolIdentity): string {
  return `${product}-${deployment}-${pool}`;
}

/** The namespace that workers publish to; their `cloudwatch:PutMetricData` is conditioned on it. */
export function workerNamespace(product: string = DEFAULT_PRODUCT): string {
  return catalogue.namespace.replace("{product}", product);
}

/** A metric of the worker catalogue, aggregated over the pool. */
export function poolMetric(identity: PoolIdentity, name: WorkerMetricName): Metric {
  return {
    namespace: workerNamespace(identity.product),
    metricName: name,
    dimensions: { Deployment: identity.deployment, Pool: identity.pool },
  };
}
