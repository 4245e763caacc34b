import { quotedWord } from "../../shell-word";
import type { Clock } from "../clock";
import { CloudError } from "../cloud";
import { ChannelError, type NodeChannel } from "../node-channel";
import type { SystemsManager } from "./systems-manager";

/** AWS takes no shorter time to reach the instance. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html */
const SHORTEST_DELIVERY_S = 30;
const POLL_MS = 1_000;
const TAIL_CHARACTERS = 2_000;
const UNDER_WAY = ["Pending", "InProgress", "Delayed", "Cancelling"];

/**
 * Programs on nodes through Systems Manager's Run Command: their agent asks for work, so no port is open and no key is shared.
 * A command that takes too long is cancelled. Its text is kept by AWS for 30 days, in CloudTrail too.
 * @param instanceOf the node's instance at the moment; undefined when it has none.
 */
export function nodeCommands(
  ssm: SystemsManager,
  clock: Clock,
  instanceOf: (nodeId: string) => Promise<string | undefined>,
): NodeChannel {
  const send = async (instanceId: string, command: readonly string[], timeoutMs: number): Promise<string> => {
    const seconds = Math.max(1, Math.ceil(timeoutMs / 1_000));
    const { Command } = await ssm.call("SendCommand", {
      InstanceIds: [instanceId],
      DocumentName: "AWS-RunShellScript",
      Parameters: { commands: [`exec ${command.map(quotedWord).join(" ")}`], executionTimeout: [String(seconds)] },
      TimeoutSeconds: Math.max(SHORTEST_DELIVERY_S, seconds),
    });
    return Command?.CommandId ?? "";
  };

  /** The invocation is not to be seen for a moment after it was sent. */
  const look = async (CommandId: string, InstanceId: string): Promise<Answer> => {
    try {
      return await ssm.call("GetCommandInvocation", { CommandId, InstanceId });
    } catch (error) {
      if (error instanceof CloudError && error.code === "InvocationDoesNotExist") return { Status: "Pending" };
      throw error;
    }
  };

  return {
    async run(nodeId, command, timeoutMs) {
      const fail = (why: string) => new ChannelError(nodeId, command, why);
      const instanceId = await instanceOf(nodeId);
      if (instanceId === undefined) throw fail("it has no instance");
      const deadlineMs = clock.now() + timeoutMs;
      try {
        const commandId = await send(instanceId, command, timeoutMs);
        for (;;) {
          const { Status = "Pending", ...answer } = await look(commandId, instanceId);
          if (Status === "Success") return answer.StandardOutputContent ?? "";
          if (!UNDER_WAY.includes(Status)) throw fail(endOf(Status, answer));
          if (clock.now() >= deadlineMs) {
            await ssm.call("CancelCommand", { CommandId: commandId }).catch(() => {});
            throw fail(`no end after ${Math.round(timeoutMs / 1_000)} s (${answer.StatusDetails ?? Status})`);
          }
          await clock.sleep(Math.min(POLL_MS, Math.max(1, deadlineMs - clock.now())));
        }
      } catch (error) {
        if (error instanceof ChannelError) throw error;
        throw fail(`Systems Manager: ${error instanceof Error ? error.message : error}`);
      }
    },
  };
}

/** What AWS says of a command on one instance. */
interface Answer {
  readonly Status?: string | undefined;
  readonly StatusDetails?: string | undefined;
  readonly ResponseCode?: number | undefined;
  readonly StandardErrorContent?: string | undefined;
  readonly StandardOutputContent?: string | undefined;
}

/** What it printed last is why it failed; AWS's word alone where it never ran. */
function endOf(status: string, { StatusDetails, ResponseCode, StandardErrorContent, StandardOutputContent }: Answer) {
  const printed = (StandardErrorContent?.trim() || StandardOutputContent?.trim() || "").slice(-TAIL_CHARACTERS);
  const end =
    status === "Failed" && (ResponseCode ?? -1) > 0 ? `ended with ${ResponseCode}` : (StatusDetails ?? status);
  return [end, printed].filter(Boolean).join(": ");
}
