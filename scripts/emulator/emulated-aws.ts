import { groupActions } from "./auto-scaling/actions/group-actions";
import { hookActions } from "./auto-scaling/actions/hook-actions";
import { memberActions } from "./auto-scaling/actions/member-actions";
import { refreshActions } from "./auto-scaling/actions/refresh-actions";
import type { AutoScalingTimings } from "./auto-scaling/auto-scaling-rules";
import type { GroupRecords } from "./auto-scaling/group-records";
import type { RefreshTimings } from "./auto-scaling/instance-refresh";
import { type AwsCalls, awsCalls } from "./aws-calls";
import { startCorrectingServer } from "./correcting-server";
import type { Correction } from "./correction";
import { corrections } from "./corrections";
import { ec2Actions } from "./ec2/ec2-actions";
import { type Faults, noFaults } from "./faults";
import { instanceFacts } from "./instance-facts";
import { instantMachines } from "./instant-machines";
import type { AwsOfMachines, HookWait, Machines, Notice } from "./machines";
import { type Emulator, startMoto } from "./moto";
import { NoticeBoard } from "./notice-board";
import { type Regions, regions } from "./regions";
import { realTime } from "./scheduler";
import { runCommand } from "./systems-manager/run-command";

export interface EmulatedAwsOptions {
  /** Makes what stands for instances; what it makes is stopped with the emulated AWS. @default - instant machines */
  readonly machines?: (aws: AwsOfMachines) => Machines;
  /** An address of this machine, at which it answers. @default - of the loopback interface */
  readonly host?: string;
  /** @default - as fast as it goes */
  readonly timings?: Partial<AutoScalingTimings & RefreshTimings>;
}

export interface EmulatedAws extends Emulator {
  readonly facts: AwsOfMachines["facts"];
  /** Announces something to an instance, and does it when it is due. @throws Error where no such instance runs. */
  notify(instanceId: string, notice: Notice): void;
  /** The process of the emulator behind: what is left to end where this program could not. */
  readonly pid: number;
  /** To be set at any time. */
  readonly faults: Faults;
}

/** Nobody waits for an emulated AWS; only failures are spaced, so that they do not spin. */
const QUICK: AutoScalingTimings & RefreshTimings = {
  noticeMs: 0,
  firstBackOffMs: 250,
  longestBackOffMs: 5_000,
  healthCheckMs: 0,
  stepMs: 5,
  stuckMs: 3_600_000,
};

/**
 * Starts moto and, in front of it, the rules of Auto Scaling and EC2 that moto lacks, with machines for instances, and the
 * corrections of what it forgets: so that groups behave, and the plan of what was just applied is empty. Both keep nothing, and
 * end together.
 *
 * @throws Error with what moto printed, where it ends or does not answer within a minute.
 */
export async function startEmulatedAws({
  machines: makeMachines = instantMachines,
  host,
  timings = {},
}: EmulatedAwsOptions = {}): Promise<EmulatedAws> {
  const moto = await startMoto();
  const scheduler = realTime();
  const aws = awsCalls(moto.url);
  const faults = noFaults();
  let machines: Machines | undefined;
  let known: Regions | undefined;
  let stopping = false;
  const notices = new NoticeBoard(scheduler, () => known?.all().map(({ instances }) => instances.rules) ?? []);
  const facts: AwsOfMachines["facts"] = async (of) => (known ? instanceFacts(known, aws, notices)(of) : undefined);
  try {
    const server = await startCorrectingServer(
      moto.url,
      (url) => {
        const listeners: ((wait: HookWait) => void)[] = [];
        machines = makeMachines({ url, facts, onWait: (listener) => listeners.push(listener) });
        known = regions({
          aws,
          machines,
          scheduler,
          faults,
          timings: { ...QUICK, ...timings },
          failed: (error) => {
            if (!stopping) throw error;
          },
          onWait: (wait) => {
            for (const listener of listeners) listener(wait);
          },
        });
        return [...rules(known, aws, machines, faults), ...corrections()];
      },
      host,
    );
    return {
      url: server.url,
      facts,
      faults,
      notify: (instanceId, notice) => notices.post(instanceId, notice),
      pid: moto.pid,
      stop: async () => {
        stopping = true;
        scheduler.stop();
        await server.stop();
        await machines?.stop();
        await moto.stop();
      },
    };
  } catch (error) {
    await moto.stop();
    throw error;
  }
}

/** What is answered here, whatever moto would have said. */
function rules(known: Regions, aws: AwsCalls, machines: Machines, faults: Faults): readonly Correction[] {
  const records: GroupRecords = new Map();
  return [
    groupActions(known, records, aws, faults),
    hookActions(known, records),
    memberActions(known, faults),
    refreshActions(known, records, aws),
    ec2Actions(known, aws, machines, faults),
    runCommand(known, aws, faults),
  ];
}
