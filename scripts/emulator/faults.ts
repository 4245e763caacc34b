import type { LaunchOrder } from "./auto-scaling/group";
import type { AwsError } from "./aws-error";
import type { Tree } from "./tree";

/** One call, as it comes in. */
export interface IncomingCall {
  readonly service: string;
  readonly region: string;
  readonly action: string;
  readonly parameters: Tree;
}

/** What goes wrong in an emulated AWS, from the moment that it is set. Each takes no part until it is. */
export interface Faults {
  /**
   * An error in place of an action of EC2, Auto Scaling or Systems Manager, such as `RequestLimitExceeded` or `Throttling`.
   * https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
   */
  refuse: (call: IncomingCall) => AwsError | undefined;
  /**
   * EC2's reason not to start an instance, as a scaling activity shows it.
   * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-capacity.html
   */
  noCapacity: (order: LaunchOrder) => string | undefined;
  /** Age of what descriptions of groups, activities and instances show. https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html */
  staleMs: () => number;
  /** What an instance takes to shut down beyond its machine. */
  shutdownMs: (instanceId: string) => number;
  /** How long a volume stays `attaching`. https://docs.aws.amazon.com/ebs/latest/userguide/ebs-attaching-volume.html */
  attachingMs: (volumeId: string) => number;
}

export function noFaults(): Faults {
  return {
    refuse: () => undefined,
    noCapacity: () => undefined,
    staleMs: () => 0,
    shutdownMs: () => 0,
    attachingMs: () => 0,
  };
}
