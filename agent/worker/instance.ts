import { readFile } from "node:fs/promises";
import { type Aws, awsClient } from "../host/aws";
import { type CredentialSource, roleCredentials } from "../host/credentials";
import { dnsSuffix, type Imds, type InstanceIdentity, imdsClient, instanceIdentity } from "../host/imds";
import { parseWorkerConfig, type WorkerConfig } from "./config";
import { PATHS } from "./paths";

/** The instance that this program runs on, and what its fleet wrote for it. */
export interface Instance {
  readonly config: WorkerConfig;
  readonly imds: Imds;
  readonly identity: InstanceIdentity;
  readonly aws: Aws;
  /** Of the partition: "amazonaws.com". */
  readonly dnsSuffix: string;
}

/** @param steady what else is done about credentials that cannot be renewed. @default - nothing */
export async function instance(steady = (source: CredentialSource) => source): Promise<Instance> {
  const config = parseWorkerConfig(await readFile(PATHS.config, "utf8"));
  const imds = imdsClient();
  const identity = await instanceIdentity(imds);
  const credentials = steady(roleCredentials(imds));
  const suffix = await dnsSuffix(imds);
  const aws = awsClient({ region: identity.region, credentials, dnsSuffix: suffix });
  return { config, imds, identity, aws, dnsSuffix: suffix };
}
