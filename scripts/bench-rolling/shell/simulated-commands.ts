import { type Cloud, CloudError, type Group } from "../../rolling-update/cloud";
import type { Process } from "../../rolling-update/simulator/virtual-clock";

/** What a command ends with, and prints. */
export interface Answer {
  readonly status: number;
  readonly output: string;
}

/** How long the AWS CLI takes for a call. */
const CALL_MS = 1_000;
/** https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-returncodes.html */
const REFUSED = 254;

/** The queries that the loop asks; the AWS CLI's text output, which prints None for what is not there. */
const QUERIES: Readonly<Record<string, (group: Group) => readonly (string | undefined)[]>> = {
  "AutoScalingGroups[].Instances[0].LifecycleState": ({ instances }) => instances.slice(0, 1).map((it) => it.lifecycle),
  "AutoScalingGroups[].Instances[0].InstanceId": ({ instances }) => instances.slice(0, 1).map((it) => it.id),
  "AutoScalingGroups[].Instances[].LaunchTemplate.Version": ({ instances }) =>
    instances.map((it) => it.template?.version),
  "AutoScalingGroups[].LaunchTemplate.Version": ({ template }) => [template?.version],
};

/** `aws`, `sleep` and `date` in the simulator's time. @throws Error for what the loop never asks. */
export async function simulatedCommand(
  [name, ...args]: readonly string[],
  cloud: Cloud,
  clock: Process,
): Promise<Answer> {
  if (name === "date" && args.join(" ") === "+%s")
    return { status: 0, output: String(Math.floor(clock.now() / 1_000)) };
  if (name === "sleep" && /^\d+$/.test(args[0] ?? "")) {
    await clock.sleep(Number(args[0]) * 1_000);
    return { status: 0, output: "" };
  }
  if (name !== "aws" || args[0] !== "autoscaling") throw new Error(`the shell asks ${name} ${args.join(" ")}`);
  await clock.sleep(CALL_MS);
  try {
    return { status: 0, output: await autoScaling(args[1], args.slice(2), cloud) };
  } catch (error) {
    if (!(error instanceof CloudError)) throw error;
    return { status: REFUSED, output: `An error occurred (${error.code}): ${error.message}` };
  }
}

async function autoScaling(action: string | undefined, args: readonly string[], cloud: Cloud): Promise<string> {
  const after = (option: string) => args[args.indexOf(option) + 1] ?? "";
  if (action === "terminate-instance-in-auto-scaling-group") {
    await cloud.terminate(after("--instance-id"), false);
    return "";
  }
  const query = QUERIES[after("--query")];
  if (action !== "describe-auto-scaling-groups" || !query)
    throw new Error(`the shell asks ${action} ${args.join(" ")}`);
  const names = args.slice(args.indexOf("--auto-scaling-group-names") + 1, args.indexOf("--query"));
  return (await cloud.describeGroups(names))
    .flatMap((group) => query(group).map((value) => value ?? "None"))
    .join("\t");
}
