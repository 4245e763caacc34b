import type {
  CancelCommandCommandInput,
  CancelCommandCommandOutput,
  DeleteParameterCommandInput,
  DeleteParameterCommandOutput,
  GetCommandInvocationCommandInput,
  GetCommandInvocationCommandOutput,
  GetParametersByPathCommandInput,
  GetParametersByPathCommandOutput,
  PutParameterCommandInput,
  PutParameterCommandOutput,
  SendCommandCommandInput,
  SendCommandCommandOutput,
} from "@aws-sdk/client-ssm";

/** Input and output of each action, without what only the SDK adds. */
export interface SystemsManagerActions {
  readonly GetParametersByPath: Action<GetParametersByPathCommandInput, GetParametersByPathCommandOutput>;
  readonly PutParameter: Action<PutParameterCommandInput, PutParameterCommandOutput>;
  readonly DeleteParameter: Action<DeleteParameterCommandInput, DeleteParameterCommandOutput>;
  readonly SendCommand: Action<SendCommandCommandInput, SendCommandCommandOutput>;
  readonly GetCommandInvocation: Action<GetCommandInvocationCommandInput, GetCommandInvocationCommandOutput>;
  readonly CancelCommand: Action<CancelCommandCommandInput, CancelCommandCommandOutput>;
}

interface Action<Input, Output> {
  readonly input: Input;
  readonly output: Omit<Output, "$metadata">;
}

/**
 * Systems Manager, as far as a roller uses it: parameters hold its lock and journal, commands reach nodes. Calls throw
 * CloudError with AWS's own code.
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/Welcome.html
 */
export interface SystemsManager {
  call<Name extends keyof SystemsManagerActions>(
    name: Name,
    input: SystemsManagerActions[Name]["input"],
  ): Promise<SystemsManagerActions[Name]["output"]>;
}
