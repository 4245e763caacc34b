import {
  CancelCommandCommand,
  DeleteParameterCommand,
  GetCommandInvocationCommand,
  GetParametersByPathCommand,
  PutParameterCommand,
  SendCommandCommand,
  SSMClient,
} from "@aws-sdk/client-ssm";
import { asCloudError, clientSettings, type SdkOptions } from "./sdk-cloud";
import type { SystemsManager, SystemsManagerActions } from "./systems-manager";

type Calls = {
  readonly [Name in keyof SystemsManagerActions]: (
    input: SystemsManagerActions[Name]["input"],
  ) => Promise<SystemsManagerActions[Name]["output"]>;
};

/** {@link SystemsManager} through the SDK. */
export function sdkSystemsManager(options: SdkOptions): SystemsManager {
  const ssm = new SSMClient(clientSettings(options));
  const calls: Calls = {
    GetParametersByPath: (input) => ssm.send(new GetParametersByPathCommand(input)),
    PutParameter: (input) => ssm.send(new PutParameterCommand(input)),
    DeleteParameter: (input) => ssm.send(new DeleteParameterCommand(input)),
    SendCommand: (input) => ssm.send(new SendCommandCommand(input)),
    GetCommandInvocation: (input) => ssm.send(new GetCommandInvocationCommand(input)),
    CancelCommand: (input) => ssm.send(new CancelCommandCommand(input)),
  };
  return {
    async call(name, input) {
      try {
        return await calls[name](input);
      } catch (error) {
        throw asCloudError(`ssm:${name}`, error);
      }
    },
  };
}
