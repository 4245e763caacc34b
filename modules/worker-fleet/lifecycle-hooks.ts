import { Token } from "cdktf";

/** What an instance is asked to finish before it enters or leaves service. */
export interface LifecycleHook {
  readonly name: string;
  readonly transition: "autoscaling:EC2_INSTANCE_LAUNCHING" | "autoscaling:EC2_INSTANCE_TERMINATING";
  /** Seconds without a heartbeat after which the default result holds; may be a token. */
  readonly heartbeatTimeoutSeconds: number;
  readonly defaultResult: "ABANDON" | "CONTINUE";
}

export interface LifecycleHooksProps {
  /** Seconds an instance has from launch to registration; may be a token. */
  readonly launchTimeoutSeconds: number;
  /** Seconds a worker may take to drain, heartbeats included; may be a token. */
  readonly drainDeadlineSeconds: number;
  /**
   * Seconds between two heartbeats of a draining worker before it is given up; may be a token.
   * @default - the shortest that reaches the drain deadline, at least 300
   */
  readonly terminateTimeoutSeconds?: number;
}

/** The two hooks of a pool, by the transition that they hold up. */
export interface LifecycleHooks {
  readonly launch: LifecycleHook;
  readonly terminate: LifecycleHook;
}

/** An instance stays in a wait state for 48 hours at most, however often it heartbeats. */
export const LONGEST_WAIT_SECONDS = 172_800;
const WAIT_PER_TIMEOUT = 100;
const SHORTEST_TIMEOUT_SECONDS = 30;
const LONGEST_TIMEOUT_SECONDS = 7_200;

/** Names the agent completes by; a group has one hook for each. */
export const LAUNCH_HOOK = "launch";
export const TERMINATE_HOOK = "terminate";

/**
 * How long heartbeats can hold an instance, for a hook with this timeout.
 * @see https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LifecycleHook.html
 */
export function reachOfTimeout(timeoutSeconds: number): number {
  return Math.min(LONGEST_WAIT_SECONDS, WAIT_PER_TIMEOUT * timeoutSeconds);
}

/** The shortest heartbeat timeout whose reach covers the deadline; five minutes are room for a slow AWS call. */
export function timeoutForDeadline(deadlineSeconds: number): number {
  return Math.max(300, Math.ceil(deadlineSeconds / WAIT_PER_TIMEOUT));
}

/**
 * The hooks of a pool: an instance enters service only once its agent is registered (otherwise it is abandoned and
 * replaced), and leaves only once its agent has drained.
 *
 * @throws Error naming both values when a timeout is outside what EC2 Auto Scaling allows, or the terminate hook cannot
 * be held until the drain deadline.
 */
export function lifecycleHooks(props: LifecycleHooksProps): LifecycleHooks {
  const { launchTimeoutSeconds, drainDeadlineSeconds } = props;
  const terminateTimeoutSeconds = props.terminateTimeoutSeconds ?? timeoutForDeadline(drainDeadlineSeconds);

  requireTimeout("launch", launchTimeoutSeconds);
  requireTimeout("terminate", terminateTimeoutSeconds);
  requireReach(terminateTimeoutSeconds, drainDeadlineSeconds);

  return {
    launch: {
      name: LAUNCH_HOOK,
      transition: "autoscaling:EC2_INSTANCE_LAUNCHING",
      heartbeatTimeoutSeconds: launchTimeoutSeconds,
      defaultResult: "ABANDON",
    },
    terminate: {
      name: TERMINATE_HOOK,
      transition: "autoscaling:EC2_INSTANCE_TERMINATING",
      heartbeatTimeoutSeconds: terminateTimeoutSeconds,
      defaultResult: "CONTINUE",
    },
  };
}

function requireTimeout(hook: string, seconds: number): void {
  if (Token.isUnresolved(seconds)) {
    return;
  }
  if (seconds < SHORTEST_TIMEOUT_SECONDS || seconds > LONGEST_TIMEOUT_SECONDS) {
    throw new Error(
      `${hook} hook timeout (${seconds} s) should be from ${SHORTEST_TIMEOUT_SECONDS} to ${LONGEST_TIMEOUT_SECONDS} s`,
    );
  }
}

function requireReach(timeoutSeconds: number, deadlineSeconds: number): void {
  if (Token.isUnresolved(timeoutSeconds) || Token.isUnresolved(deadlineSeconds)) {
    return;
  }
  if (deadlineSeconds > LONGEST_WAIT_SECONDS) {
    throw new Error(
      `drain deadline (${deadlineSeconds} s) should be <= ${LONGEST_WAIT_SECONDS} s: no hook holds longer`,
    );
  }
  if (reachOfTimeout(timeoutSeconds) < deadlineSeconds) {
    throw new Error(
      `drain deadline (${deadlineSeconds} s) should be <= ${reachOfTimeout(timeoutSeconds)} s, the reach of a terminate hook ` +
        `with a timeout of ${timeoutSeconds} s; set the timeout to ${timeoutForDeadline(deadlineSeconds)} s or leave it out`,
    );
  }
}
