import { AutoScalingRules, type AutoScalingTimings } from "../../emulator/auto-scaling/auto-scaling-rules";
import { AwsError } from "../../emulator/aws-error";
import type { Scheduler } from "../../emulator/scheduler";
import { CloudError, type Group, type Hook } from "../cloud";
import type { Ec2 } from "./ec2";

export type { AutoScalingTimings };

/** Auto Scaling as the simulated EC2 runs it, with the roller's own errors. */
export class AutoScaling {
  readonly #rules: AutoScalingRules;

  constructor(scheduler: Scheduler, ec2: Ec2, timings: AutoScalingTimings) {
    this.#rules = new AutoScalingRules(
      scheduler,
      {
        launch: ({ template, zone, tags }, answer) => {
          try {
            const version = ec2.template(template.id, template.version);
            const id = ec2.launch(version, zone, tags);
            answer({ id, template: { id: version.id, version: String(version.version) }, zone });
          } catch (error) {
            if (!(error instanceof AwsError) && !(error instanceof CloudError)) throw error;
            answer({ refused: error.message });
          }
        },
        terminate: (id) => ec2.terminate(id),
        state: (id) => ec2.state(id),
      },
      timings,
    );
    ec2.onTerminated = (id) => this.#rules.instanceEnded(id);
  }

  get groups() {
    return this.#rules.groups;
  }

  set onBoot(listener: (instanceId: string, groupName: string) => void) {
    this.#rules.onBoot = listener;
  }

  get onBoot() {
    return this.#rules.onBoot;
  }

  set onTerminating(listener: (instanceId: string) => void) {
    this.#rules.onTerminating = listener;
  }

  addGroup(group: Group, hooks: readonly Hook[]): void {
    this.#rules.create(group, hooks);
  }

  suspend(groupName: string, processName: string): void {
    refusing("SuspendProcesses", () => this.#rules.suspend(groupName, processName));
  }

  resume(groupName: string, processName: string): void {
    refusing("ResumeProcesses", () => this.#rules.resume(groupName, processName));
  }

  update(groupName: string, change: Partial<Pick<Group, "min" | "max" | "desired" | "template">>): void {
    refusing("UpdateAutoScalingGroup", () => this.#rules.update(groupName, change));
  }

  terminate(instanceId: string, decrementDesired: boolean): void {
    refusing("TerminateInstanceInAutoScalingGroup", () => this.#rules.terminate(instanceId, decrementDesired));
  }

  completeHook(group: string, hook: string, instanceId: string, result: "CONTINUE" | "ABANDON"): void {
    refusing("CompleteLifecycleAction", () => this.#rules.completeHook({ group, hook, instanceId }, result));
  }

  heartbeat(group: string, hook: string, instanceId: string): void {
    refusing("RecordLifecycleActionHeartbeat", () => this.#rules.heartbeat({ group, hook, instanceId }));
  }

  lifecycleOf(instanceId: string): string | undefined {
    return this.#rules.lifecycleOf(instanceId);
  }
}

/** Does it, with AWS's refusal as the error that the roller knows. */
function refusing(action: string, call: () => void): void {
  try {
    call();
  } catch (error) {
    throw error instanceof AwsError ? new CloudError(action, error.code, error.message) : error;
  }
}
