import { randomUUID } from "node:crypto";
import type { AwsCalls } from "../aws-calls";
import { AwsError } from "../aws-error";
import { CommandFailed } from "../command-failed";
import type { Correction } from "../correction";
import type { Faults } from "../faults";
import type { Machine } from "../machines";
import type { Regions } from "../regions";
import { type Tree, textAt, treeAt, type Value } from "../tree";
import { type Rendered, renderedDocument } from "./documents";

/** What became of a command on one instance. */
interface Invocation {
  readonly status: "InProgress" | "Success" | "Failed" | "TimedOut" | "Cancelled";
  /** The program's exit status, or -1 where it has none. */
  readonly responseCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Command {
  readonly id: string;
  readonly document: string;
  readonly instanceIds: readonly string[];
  readonly invocations: Map<string, Invocation>;
}

const IN_PROGRESS: Invocation = { status: "InProgress", responseCode: -1, stdout: "", stderr: "" };
const LONGEST_OUTPUT = 24_000;
const SHORTEST_EXECUTION_S = 3_600;

/**
 * Run Command of Systems Manager: shell scripts that the agent of an instance runs as root, as a service of its own.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/run-command.html
 */
export function runCommand(regions: Regions, aws: AwsCalls, faults: Faults): Correction {
  const commands = new Map<string, Command>();

  const rendered = async (region: string, name: string, given: Tree): Promise<Rendered> => {
    if (name !== "AWS-RunShellScript") {
      const { Content } = await aws("ssm", region, "GetDocument", { Name: name });
      return renderedDocument(String(Content), mapValues(given, texts));
    }
    const script = texts(given["commands"]).join("\n");
    if (script === "") throw new AwsError("InvalidParameters", "commands is required");
    const [seconds = String(SHORTEST_EXECUTION_S)] = texts(given["executionTimeout"]);
    return { script, seconds: Number(seconds) };
  };

  const machineOf = async (region: string, instanceId: string): Promise<Machine> => {
    const { instances } = regions.of(region);
    const machine = instances.rules.state(instanceId) === "running" ? await instances.machine(instanceId) : undefined;
    if (machine === undefined) {
      throw new AwsError("InvalidInstanceId", `Instances [[${instanceId}]] not in a valid state for account`);
    }
    return machine;
  };
  const commandOf = (parameters: Tree): Command => {
    const command = commands.get(textAt(parameters, "CommandId") ?? "");
    if (command === undefined) throw new AwsError("InvalidCommandId", "");
    return command;
  };
  /** The first end is the end: what ends a command also makes its program fail. */
  const settle = ({ invocations }: Command, instanceId: string, end: Invocation) => {
    if (invocations.get(instanceId) === IN_PROGRESS) invocations.set(instanceId, end);
  };

  return {
    service: "ssm",
    refuses: (action, request) => faults.refuse({ service: "ssm", action, ...request }),
    replies: {
      /** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html */
      SendCommand: async ({ region, parameters }) => {
        const document = textAt(parameters, "DocumentName") ?? "";
        const given = treeAt(parameters, "Parameters");
        const { script, seconds } = await rendered(region, document, given);
        const instanceIds = texts(parameters["InstanceIds"]);
        const machines = await Promise.all(instanceIds.map((id) => machineOf(region, id)));
        const command: Command = { id: randomUUID(), document, instanceIds, invocations: new Map() };
        commands.set(command.id, command);
        for (const [index, machine] of machines.entries()) {
          const instanceId = instanceIds[index] ?? "";
          command.invocations.set(instanceId, IN_PROGRESS);
          void execute(machine, unitOf(command), script, seconds).then((end) => settle(command, instanceId, end));
        }
        return { Command: { CommandId: command.id, InstanceIds: instanceIds, Status: "Pending", Parameters: given } };
      },

      /** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetCommandInvocation.html */
      GetCommandInvocation: async ({ parameters }) => {
        const { id, document, invocations } = commandOf(parameters);
        const instanceId = textAt(parameters, "InstanceId") ?? "";
        const invocation = invocations.get(instanceId);
        if (invocation === undefined) throw new AwsError("InvocationDoesNotExist", "");
        const { status, responseCode, stdout, stderr } = invocation;
        return {
          CommandId: id,
          InstanceId: instanceId,
          DocumentName: document,
          Status: status,
          StatusDetails: status === "TimedOut" ? "ExecutionTimedOut" : status,
          ResponseCode: responseCode,
          StandardOutputContent: stdout.slice(0, LONGEST_OUTPUT),
          StandardErrorContent: stderr.slice(0, LONGEST_OUTPUT),
        };
      },

      /** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CancelCommand.html */
      CancelCommand: async ({ region, parameters }) => {
        const command = commandOf(parameters);
        for (const instanceId of command.instanceIds) {
          settle(command, instanceId, { ...IN_PROGRESS, status: "Cancelled" });
          const machine = await regions.of(region).instances.machine(instanceId);
          await machine?.exec("systemctl", "stop", unitOf(command)).catch(() => undefined);
        }
        return {};
      },
    },
  };
}

const unitOf = ({ id }: Command) => `ssm-command-${id}.service`;

/** How `timeout` says that it has ended the program: timeout(1). */
const TIMED_OUT = 124;

/** A service has what the machine gives its services, as the agent's children have it; a program beside them has not. */
async function execute(machine: Machine, unit: string, script: string, seconds: number): Promise<Invocation> {
  const service = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", `--unit=${unit}`];
  try {
    const stdout = await machine.exec(...service, "timeout", String(seconds), "sh", "-c", script);
    return { status: "Success", responseCode: 0, stdout, stderr: "" };
  } catch (error) {
    if (!(error instanceof CommandFailed)) {
      return { status: "Failed", responseCode: -1, stdout: "", stderr: (error as Error).message };
    }
    const { status, stdout, stderr } = error;
    return { status: status === TIMED_OUT ? "TimedOut" : "Failed", responseCode: status, stdout, stderr };
  }
}

function texts(value: Value | undefined): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

function mapValues<From, To>(values: Readonly<Record<string, From>>, map: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));
}
