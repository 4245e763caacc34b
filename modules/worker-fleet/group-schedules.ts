import { AutoscalingSchedule } from "@cdktf/provider-aws/lib/autoscaling-schedule";
import { Construct } from "constructs";

/** A change of a group's size at set times; what is left out stays as it is. */
export interface ScheduledSize {
  /** Five fields: minute, hour, day of month, month, day of week. */
  readonly cron: string;
  /**
   * IANA name of the time zone that the schedule follows, daylight saving included.
   * @default "Etc/UTC"
   */
  readonly timeZone?: string;
  readonly min?: number;
  readonly max?: number;
  readonly desired?: number;
}

export interface GroupSchedulesProps {
  readonly groupName: string;
  readonly schedules: Readonly<Record<string, ScheduledSize>>;
}

/** How the provider says that a size is not part of a scheduled action; leaving it out would mean 0. */
export const UNCHANGED_SIZE = -1;

/** @see https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-scheduled-scaling.html */
export class GroupSchedules extends Construct {
  public constructor(scope: Construct, id: string, props: GroupSchedulesProps) {
    super(scope, id);
    for (const [name, schedule] of Object.entries(props.schedules)) {
      new AutoscalingSchedule(this, name, {
        scheduledActionName: name,
        autoscalingGroupName: props.groupName,
        recurrence: schedule.cron,
        timeZone: schedule.timeZone ?? "Etc/UTC",
        minSize: schedule.min ?? UNCHANGED_SIZE,
        maxSize: schedule.max ?? UNCHANGED_SIZE,
        desiredCapacity: schedule.desired ?? UNCHANGED_SIZE,
      });
    }
  }
}
