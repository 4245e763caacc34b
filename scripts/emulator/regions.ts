import { AutoScalingRules, type AutoScalingTimings } from "./auto-scaling/auto-scaling-rules";
import type { Launched, LaunchOrder, Member, ScalingGroup } from "./auto-scaling/group";
import { InstanceRefreshes, type RefreshTimings } from "./auto-scaling/instance-refresh";
import type { AwsCalls } from "./aws-calls";
import { AwsError } from "./aws-error";
import { RegionInstances } from "./ec2/region-instances";
import { describeTemplate, runParameters } from "./ec2/template-launch";
import type { Faults } from "./faults";
import type { HookWait, Machines } from "./machines";
import type { Scheduler } from "./scheduler";
import { textAt, treesAt } from "./tree";

/** What one region's rules keep. */
export interface Region {
  readonly name: string;
  readonly instances: RegionInstances;
  readonly groups: AutoScalingRules;
  readonly refreshes: InstanceRefreshes;
}

/** Regions come to be when they are first asked. */
export interface Regions {
  readonly of: (name: string) => Region;
  readonly all: () => readonly Region[];
}

export interface RegionOptions {
  readonly aws: AwsCalls;
  readonly machines: Machines;
  readonly scheduler: Scheduler;
  readonly timings: AutoScalingTimings & RefreshTimings;
  readonly onWait: (wait: HookWait) => void;
  readonly faults: Faults;
  /** Told where the emulator behind fails at what nobody waits for. */
  readonly failed: (error: unknown) => void;
}

export function regions(options: RegionOptions): Regions {
  const known = new Map<string, Region>();
  return {
    of: (name) => {
      const region = known.get(name) ?? startRegion(name, options);
      known.set(name, region);
      return region;
    },
    all: () => [...known.values()],
  };
}

function startRegion(
  name: string,
  { aws, machines, scheduler, timings, faults, onWait, failed }: RegionOptions,
): Region {
  const instances = new RegionInstances(name, aws, machines, scheduler, faults, failed);
  const launch = async (order: LaunchOrder): Promise<Launched> => {
    const lacking = faults.noCapacity(order);
    if (lacking !== undefined) throw new AwsError("InsufficientInstanceCapacity", lacking);
    const template = await describeTemplate(aws, name, order.template);
    const answer = await instances.run(runParameters(order, template));
    const [made = {}] = treesAt(answer, "instancesSet");
    const id = textAt(made, "instanceId") ?? "";
    const { zone = order.zone, instanceType = "" } = instances.rules.instances.get(id)?.current ?? {};
    return { id, template, zone, instanceType };
  };
  const groups = new AutoScalingRules(
    scheduler,
    {
      launch: (order, answer) => void launch(order).then(answer, (error: Error) => answer({ refused: refusal(error) })),
      terminate: (id) => instances.rules.terminate(id),
      state: (id) => instances.rules.state(id),
    },
    timings,
  );
  instances.rules.onTerminated = (id) => groups.instanceEnded(id);
  groups.onWait = (instanceId, group, hooks) => {
    const transition = hooks[0]?.transition ?? "launching";
    onWait({ region: name, instanceId, group, transition, hooks: hooks.map((hook) => hook.name) });
  };
  const matches = async ({ template, mixed }: ScalingGroup, member: Member): Promise<boolean> => {
    const references = mixed ? [mixed.template, ...mixed.overrides.map((override) => override.template)] : [template];
    for (const reference of references) {
      const { id, version } = reference ? await describeTemplate(aws, name, reference) : { id: "", version: "" };
      if (member.template?.id === id && member.template.version === version) return true;
    }
    return false;
  };
  return { name, instances, groups, refreshes: new InstanceRefreshes(scheduler, groups, matches, timings) };
}

/** A failure of this server's own is shown where a person looks, rather than lost. */
function refusal(error: Error): string {
  return error instanceof AwsError ? error.message : `The emulated AWS failed: ${error.message}.`;
}
