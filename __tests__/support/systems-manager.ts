import { z } from "zod";
import { startHttpServer } from "./http-server";

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html, as far as these commands go. */
const sendCommand = z.strictObject({
  InstanceIds: z.array(z.string().regex(/^i-[0-9a-f]{17}$/)).length(1),
  DocumentName: z.literal("AWS-RunShellScript"),
  Parameters: z.strictObject({
    commands: z.array(z.string()).min(1),
    executionTimeout: z
      .array(z.string().regex(/^([1-9][0-9]{0,4}|1[0-6][0-9]{4}|17[0-1][0-9]{3}|172[0-7][0-9]{2}|172800)$/))
      .length(1),
  }),
  TimeoutSeconds: z.number().int().min(30).max(2_592_000),
});
type Sent = z.infer<typeof sendCommand>;

const COMMAND_ID = "11111111-2222-3333-4444-555555555555";
const ofCommand = z.strictObject({ CommandId: z.literal(COMMAND_ID), InstanceId: z.string() });
const cancelCommand = z.strictObject({ CommandId: z.literal(COMMAND_ID) });

/** Systems Manager's Run Command for one instance: refuses what AWS refuses, answers what the test says, in order. */
export interface SystemsManager {
  readonly endpoint: string;
  readonly sent: Sent[];
  readonly cancelled: unknown[];
  /** Each look's answer: a status, an invocation, or that the command is not known yet. */
  answers(...answers: (string | Record<string, unknown>)[]): void;
  refuses(code: string, message: string): void;
  close(): Promise<void>;
}

export async function startSystemsManager(instanceId: string): Promise<SystemsManager> {
  const sent: Sent[] = [];
  const cancelled: unknown[] = [];
  let pending: (string | Record<string, unknown>)[] = [];
  let refusal: { __type: string; message: string } | undefined;
  const error = (__type: string, message = "") => ({ status: 400, body: JSON.stringify({ __type, message }) });
  const answer = (body: unknown) => ({ status: 200, body: JSON.stringify(body) });

  const actions: Record<string, (input: unknown) => { status: number; body: string }> = {
    SendCommand: (input) => {
      if (refusal) return error(refusal.__type, refusal.message);
      const parsed = sendCommand.safeParse(input);
      if (!parsed.success) return error("ValidationException", z.prettifyError(parsed.error));
      sent.push(parsed.data);
      return answer({ Command: { CommandId: COMMAND_ID, Status: "Pending" } });
    },
    GetCommandInvocation: (input) => {
      if (ofCommand.parse(input).InstanceId !== instanceId) return error("InvalidInstanceId");
      const next = pending.shift();
      if (next === undefined || next === "not known") return error("InvocationDoesNotExist");
      return answer(typeof next === "string" ? { Status: next, StatusDetails: next } : next);
    },
    CancelCommand: (input) => {
      cancelled.push(cancelCommand.parse(input));
      return answer({});
    },
  };
  const server = await startHttpServer(({ headers, body }) => {
    const action = actions[headers["x-amz-target"]?.replace("AmazonSSM.", "") ?? ""];
    return action?.(JSON.parse(body)) ?? error("UnknownOperationException");
  });
  return {
    endpoint: server.endpoint,
    sent,
    cancelled,
    answers: (...answers) => {
      pending = answers;
    },
    refuses: (code, message) => {
      refusal = { __type: code, message };
    },
    close: () => server.close(),
  };
}
