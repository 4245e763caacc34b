import { WORKER_ACTIONS, type WorkerFeature } from "../worker-access/worker-actions";

/** Services whose endpoint is not named as the prefix of their IAM actions. */
const ENDPOINT_OF_PREFIX = { cloudwatch: "monitoring" } as const;

type ActionPrefix<Action> = Action extends `${infer Prefix}:${string}` ? Prefix : never;
type Prefix = ActionPrefix<(typeof WORKER_ACTIONS)[WorkerFeature][number]>;

/** Last part of an AWS endpoint service's name, `com.amazonaws.<region>.<service>`. */
export type AwsService = Exclude<Prefix, keyof typeof ENDPOINT_OF_PREFIX> | "monitoring";

/**
 * The endpoints that features need, and the actions each has to let through: a service per action's prefix.
 *
 * @see https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-privatelink-support.html
 */
export function endpointActions(features: readonly WorkerFeature[]): ReadonlyMap<AwsService, readonly string[]> {
  const actions = new Map<AwsService, string[]>();
  for (const action of features.flatMap((feature) => WORKER_ACTIONS[feature])) {
    const service = endpointOf(action);
    const known = actions.get(service) ?? [];
    if (!known.includes(action)) actions.set(service, [...known, action].sort());
  }
  return new Map([...actions].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Every service that some feature of a worker needs. */
export const ENDPOINT_SERVICES: readonly AwsService[] = [
  ...endpointActions(Object.keys(WORKER_ACTIONS) as WorkerFeature[]).keys(),
];

function endpointOf(action: `${Prefix}:${string}`): AwsService {
  const prefix = action.slice(0, action.indexOf(":")) as Prefix;
  return prefix === "cloudwatch" ? ENDPOINT_OF_PREFIX[prefix] : prefix;
}
