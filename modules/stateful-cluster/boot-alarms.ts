import { Construct } from "constructs";
import { CLUSTER_TAG } from "../stateful-node/node-names";
import { EventAlarm, type EventAlarmProps } from "./event-alarm";

export interface BootAlarmsProps extends Pick<EventAlarmProps, "topicArns" | "enabled"> {
  /** May be a token. */
  readonly clusterName: string;
}

const BOOT_TAG = "holdfast:boot";

/**
 * The alarms `{cluster}-boot-failed` and `{cluster}-launch-failed`. An agent whose boot failed tags its instance, with step and
 * reason, and EventBridge tells of the tag; an instance that never got so far is given up when its launch hook runs out, and Auto
 * Scaling tells of that, as of a launch that EC2 refused.
 *
 * https://docs.aws.amazon.com/tag-editor/latest/userguide/monitor-tag-changes.html
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html
 */
export class BootAlarms extends Construct {
  public constructor(scope: Construct, id: string, { clusterName, ...told }: BootAlarmsProps) {
    super(scope, id);
    new EventAlarm(this, "boot_failed", {
      ...told,
      name: `${clusterName}-boot-failed`,
      description:
        `A node did not come up. Its instance's tag ${BOOT_TAG} says at which step and why; holdfast-node logs, in a session on the ` +
        "instance, says the rest.",
      pattern: {
        source: ["aws.tag"],
        "detail-type": ["Tag Change on Resource"],
        detail: {
          "changed-tag-keys": [BOOT_TAG],
          service: ["ec2"],
          "resource-type": ["instance"],
          tags: { [BOOT_TAG]: [{ prefix: "failed" }], [CLUSTER_TAG]: [clusterName] },
        },
      },
    });
    new EventAlarm(this, "launch_failed", {
      ...told,
      name: `${clusterName}-launch-failed`,
      description:
        "An instance of a node could not be launched, or was given up. The activities of the node's group say why.",
      pattern: {
        source: ["aws.autoscaling"],
        "detail-type": ["EC2 Instance Launch Unsuccessful"],
        // The event has no tags, and a pattern of 2,048 characters has no room for the names of a hundred groups.
        detail: { AutoScalingGroupName: [{ prefix: `${clusterName}-node-` }] },
      },
    });
  }
}
