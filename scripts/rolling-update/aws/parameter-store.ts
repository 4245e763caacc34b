import { CloudError } from "../cloud";
import type { Store } from "../store";
import type { SystemsManager } from "./systems-manager";

/**
 * A cluster's lock and journal as parameters below `/holdfast/<cluster>/roll/`: nothing has to be set up for it, and creating
 * without overwriting is atomic. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
 */
export function parameterStore(cluster: string, ssm: SystemsManager): Store {
  const root = `/holdfast/${cluster}/roll/`;
  const put = (key: string, text: string, overwrite: boolean) =>
    ssm.call("PutParameter", { Name: root + key, Value: text, Type: "String", Overwrite: overwrite });

  return {
    async list(prefix) {
      const texts = new Map<string, string>();
      const Path = prefix.includes("/") ? root + prefix.slice(0, prefix.lastIndexOf("/")) : root.slice(0, -1);
      let NextToken: string | undefined;
      do {
        const page = await ssm.call("GetParametersByPath", { Path, Recursive: true, NextToken });
        for (const { Name, Value } of page.Parameters ?? []) {
          const key = Name?.slice(root.length);
          if (key?.startsWith(prefix)) texts.set(key, Value ?? "");
        }
        NextToken = page.NextToken || undefined;
      } while (NextToken !== undefined);
      return texts;
    },

    async create(key, text) {
      try {
        await put(key, text, false);
        return true;
      } catch (error) {
        if (isCalled(error, "ParameterAlreadyExists")) return false;
        throw error;
      }
    },

    async write(key, text) {
      await put(key, text, true);
    },

    async remove(key) {
      try {
        await ssm.call("DeleteParameter", { Name: root + key });
      } catch (error) {
        if (!isCalled(error, "ParameterNotFound")) throw error;
      }
    },
  };
}

function isCalled(error: unknown, code: string): boolean {
  return error instanceof CloudError && error.code === code;
}
