import { fetchCloud } from "../../scripts/rolling-update/aws/fetch-cloud";
import type { CredentialSource } from "../../scripts/rolling-update/aws/instance-credentials";
import { sdkCloud } from "../../scripts/rolling-update/aws/sdk-cloud";
import { sdkSystemsManager } from "../../scripts/rolling-update/aws/sdk-systems-manager";
import { signedCalls } from "../../scripts/rolling-update/aws/signed-calls";
import type { SystemsManager } from "../../scripts/rolling-update/aws/systems-manager";
import type { Cloud } from "../../scripts/rolling-update/cloud";

/** The two ways a roller reaches AWS: what one can, the other can. */
export interface RollAdapter {
  readonly name: string;
  readonly cloud: (region: string, endpoint: string) => Cloud;
  readonly systemsManager: (region: string, endpoint: string) => SystemsManager;
}

/** The SDK's environment has the same. */
export const CREDENTIALS = { accessKeyId: "test", secretAccessKey: "test" };
const credentials: CredentialSource = Object.assign(async () => CREDENTIALS, { forget: () => {} });

export const ROLL_ADAPTERS: readonly RollAdapter[] = [
  {
    name: "the SDK",
    cloud: (region, endpoint) => sdkCloud({ region, endpoint }),
    systemsManager: (region, endpoint) => sdkSystemsManager({ region, endpoint }),
  },
  {
    name: "signed requests",
    cloud: (region, endpoint) => fetchCloud(signedCalls({ region, endpoint, credentials }), region),
    systemsManager: (region, endpoint) => signedCalls({ region, endpoint, credentials }).systemsManager,
  },
];
