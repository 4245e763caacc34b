import { type Aws, AwsError, type AwsParameters } from "../../../agent/host/aws";
import { INSTANCE, INSTANCE_CONFIG } from "./instance-config";
import { REBALANCE, STATE } from "./worker-with-job";

/** What a group may do to its instance, and what was done to it. */
export interface ScaleInGroup {
  readonly aws: Aws;
  /** What the instance's metadata service says. */
  readonly metadata: Map<string, string>;
  readonly isProtected: boolean;
  /** Chosen by a scale-in, which spares whoever is protected. */
  readonly isChosen: boolean;
  /** Calls that changed nothing. */
  readonly idleCalls: number;
  /** Calls that failed, of which some had worked and only their answer did not come. */
  readonly failedCalls: number;
  scaleIn(): void;
  /** Takes the instance whatever its protection, as an instance refresh does. */
  replace(): void;
  recommendRebalance(): void;
}

const refusal = (code: string, status: number) =>
  new AwsError("autoscaling", "SetInstanceProtection", code, `${INSTANCE} is not in InService`, status);

/**
 * An Auto Scaling group of one instance that takes its time to answer, throttles, loses answers, and is as strict as the real one: only of an
 * instance in service is the protection changed.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceProtection.html
 */
export function scaleInGroup(random: () => number): ScaleInGroup {
  const metadata = new Map([[STATE, "InService"]]);
  // An earlier life of the agent may have left it so.
  let isProtected = random() < 0.2;
  let inService = true;
  let isChosen = false;
  let idleCalls = 0;
  let failedCalls = 0;

  const delay = () => new Promise((resolve) => setTimeout(resolve, Math.floor(random() * 3_000)));
  const protect = async ({ AutoScalingGroupName, InstanceIds, ProtectedFromScaleIn, ...more }: AwsParameters) => {
    await delay();
    const ids = Array.isArray(InstanceIds) ? InstanceIds : [];
    const isOurs = AutoScalingGroupName === INSTANCE_CONFIG.autoScalingGroupName && ids.join() === INSTANCE;
    if (!isOurs || typeof ProtectedFromScaleIn !== "boolean" || Object.keys(more).length > 0)
      throw refusal("ValidationError", 400);
    if (random() < 0.1) throw refusal("Throttling", 400);
    if (!inService) throw refusal("ValidationError", 400);
    if (isProtected === ProtectedFromScaleIn) idleCalls += 1;
    isProtected = ProtectedFromScaleIn;
    await delay();
    if (random() < 0.05) throw refusal("Unreachable", 0);
    return {};
  };
  const counted = async (call: Promise<object>) => {
    try {
      return await call;
    } catch (error) {
      failedCalls += 1;
      throw error;
    }
  };
  const leave = () => {
    if (!inService) return;
    inService = false;
    setTimeout(() => metadata.set(STATE, "Terminated"), Math.floor(random() * 2_000));
  };
  return {
    aws: {
      region: "us-east-1",
      call: (_service: string, action: string, params: AwsParameters = {}) =>
        action === "SetInstanceProtection" ? counted(protect(params)) : Promise.resolve({}),
    } as unknown as Aws,
    metadata,
    get isProtected() {
      return isProtected;
    },
    get isChosen() {
      return isChosen;
    },
    get idleCalls() {
      return idleCalls;
    },
    get failedCalls() {
      return failedCalls;
    },
    scaleIn: () => {
      if (isProtected || !inService) return;
      isChosen = true;
      leave();
    },
    replace: leave,
    recommendRebalance: () => void metadata.set(REBALANCE, JSON.stringify({ noticeTime: new Date().toISOString() })),
  };
}
