import { readFile } from "node:fs/promises";
import { type Aws, awsClient } from "../host/aws";
import { roleCredentials } from "../host/credentials";
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

export async function instance(): Promise<Instance> {
  const config = parseWorkerConfig(await readFile(PATHS.config, "utf8"));
  const imds = imdsClient();
  const identity = await instanceIdentity(imds);
  const credentials = roleCredentials(imds);
  const suffix = await dnsSuffix(imds);
  const aws = awsClient({ region: identity.region, credentials, dnsSuffix: suffix });
  return { config, imds, identity, aws, dnsSuffix: suffix };
}
