import type { Scheduler } from "../scheduler";
import type { Capacity, LifecycleHook } from "./group";
import type { GroupState, Groups } from "./groups";

export interface AutoScalingTimings {
  /** From noticing that an instance is missing to asking EC2 for one. */
  readonly noticeMs: number;
  /**
   * Pause after a failed launch, doubled up to the longest. AWS documents that failing launches are slowed down, not
   * by how much: https://docs.aws.amazon.com/autoscaling/ec2/userguide/CHAP_Troubleshooting.html
   */
  readonly firstBackOffMs: number;
  readonly longestBackOffMs: number;
  /** From the end of an instance the group did not terminate to the health check that sees it. */
  readonly healthCheckMs: number;
  /** Between looks at an instance that starts, and from the end of a launch hook to service. @default 1,000 */
  readonly stepMs?: number;
}

/** What launches and terminations share. */
export interface RuleContext {
  readonly groups: Groups;
  readonly scheduler: Scheduler;
  readonly capacity: Capacity;
  readonly timings: AutoScalingTimings;
  /** Brings a group towards its desired number. */
  readonly reconcile: (group: GroupState) => void;
  /** Begins an instance's wait in hooks. */
  readonly wait: (group: GroupState, instanceId: string, hooks: readonly LifecycleHook[]) => void;
  /** Ends an instance's wait without a result; true where it waited. */
  readonly cancelWait: (instanceId: string) => boolean;
}
