import type { Construct } from "constructs";
import { type Synthesized, synthesize } from "../synthesize";
import { type AlarmState, alarmSeries, nextState, type Reading, type SynthesizedAlarm } from "./alarm";
import type { RecordedMetrics } from "./recorded-metrics";
import type { SynthesizedPolicy } from "./scaling-policy";

/** An `aws_cloudwatch_dashboard` as Terraform JSON has it. */
export interface SynthesizedDashboard {
  readonly dashboard_name: string;
  readonly dashboard_body: string;
}

/** The alarms, policies and dashboards of a synthesized scope, as Terraform would read them. */
export class SynthesizedSignals {
  private readonly resources: NonNullable<Synthesized["resource"]>;

  public constructor({ resource = {} }: Synthesized) {
    this.resources = resource;
  }

  /** Synthesizes what `build` adds to a stack. */
  public static of(build: (scope: Construct) => void): SynthesizedSignals {
    return new SynthesizedSignals(synthesize(build));
  }

  public get alarms(): SynthesizedAlarm[] {
    return Object.values(this.resources["aws_cloudwatch_metric_alarm"] ?? {}) as unknown as SynthesizedAlarm[];
  }

  public get policies(): SynthesizedPolicy[] {
    return Object.values(this.resources["aws_autoscaling_policy"] ?? {}) as unknown as SynthesizedPolicy[];
  }

  public get dashboards(): SynthesizedDashboard[] {
    return Object.values(this.resources["aws_cloudwatch_dashboard"] ?? {}) as unknown as SynthesizedDashboard[];
  }

  /** The alarm whose name ends in `suffix`. */
  public alarm(suffix: string): SynthesizedAlarm {
    const found = this.alarms.find(({ alarm_name }) => alarm_name.endsWith(`-${suffix}`));
    if (found === undefined) throw new Error(`no alarm ends in -${suffix}`);
    return found;
  }

  /** The policy that an alarm invokes. */
  public policyOf(alarm: SynthesizedAlarm): SynthesizedPolicy {
    const [action = ""] = alarm.alarm_actions ?? [];
    const id = /^\$\{aws_autoscaling_policy\.(\w+)\.arn\}$/.exec(action)?.[1] ?? "";
    const policy = this.resources["aws_autoscaling_policy"]?.[id];
    if (policy === undefined) throw new Error(`${alarm.alarm_name}: ${action} should be the ARN of a policy`);
    return policy as unknown as SynthesizedPolicy;
  }
}

/** An alarm's state at the end of each minute of a recording. */
export function replay(
  alarm: SynthesizedAlarm,
  metrics: RecordedMetrics,
  minutes: number,
  reading: Reading,
): AlarmState[] {
  let state: AlarmState = "INSUFFICIENT_DATA";
  return Array.from({ length: minutes }, (_, now) => {
    state = nextState(alarm, alarmSeries(alarm, metrics, now, reading), state);
    return state;
  });
}
