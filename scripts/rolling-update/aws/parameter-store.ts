import {
  DeleteParameterCommand,
  ParameterAlreadyExists,
  ParameterNotFound,
  PutParameterCommand,
  paginateGetParametersByPath,
  SSMClient,
} from "@aws-sdk/client-ssm";
import type { Store } from "../store";
import { asCloudError, clientSettings, type SdkOptions } from "./sdk-cloud";

/**
 * A cluster's lock and journal as parameters below `/holdfast/<cluster>/roll/`: nothing has to be set up for it, and creating
 * without overwriting is atomic. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
 */
export function parameterStore(cluster: string, options: SdkOptions): Store {
  const ssm = new SSMClient(clientSettings(options));
  const root = `/holdfast/${cluster}/roll/`;
  const put = (key: string, text: string, overwrite: boolean) =>
    ssm.send(new PutParameterCommand({ Name: root + key, Value: text, Type: "String", Overwrite: overwrite }));

  return {
    async list(prefix) {
      const texts = new Map<string, string>();
      const folder = prefix.includes("/") ? root + prefix.slice(0, prefix.lastIndexOf("/")) : root.slice(0, -1);
      try {
        for await (const page of paginateGetParametersByPath({ client: ssm }, { Path: folder, Recursive: true })) {
          for (const { Name, Value } of page.Parameters ?? []) {
            const key = Name?.slice(root.length);
            if (key?.startsWith(prefix)) texts.set(key, Value ?? "");
          }
        }
      } catch (error) {
        throw asCloudError("ssm:GetParametersByPath", error);
      }
      return texts;
    },

    async create(key, text) {
      try {
        await put(key, text, false);
        return true;
      } catch (error) {
        if (error instanceof ParameterAlreadyExists) return false;
        throw asCloudError("ssm:PutParameter", error);
      }
    },

    async write(key, text) {
      try {
        await put(key, text, true);
      } catch (error) {
        throw asCloudError("ssm:PutParameter", error);
      }
    },

    async remove(key) {
      try {
        await ssm.send(new DeleteParameterCommand({ Name: root + key }));
      } catch (error) {
        if (!(error instanceof ParameterNotFound)) throw asCloudError("ssm:DeleteParameter", error);
      }
    },
  };
}
