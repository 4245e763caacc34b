import { instanceRefreshes } from "../aws/instance-refreshes";
import { systemClock } from "../clock";
import { progress } from "./progress";
import { sdkConnection } from "./sdk-connection";
import type { Surroundings } from "./surroundings";

const assuming = (roleArn: string | undefined) => (roleArn === undefined ? {} : { roleArn });

/** AWS through its SDK, and the terminal of this process. */
export const awsSurroundings: Surroundings = {
  connect: (manifest, roleArn) => sdkConnection(manifest, assuming(roleArn)),
  refreshes: (region, roleArn) => instanceRefreshes({ region, ...assuming(roleArn) }),
  clock: systemClock,
  stdout: process.stdout,
  stderr: process.stderr,
  telling: progress,
};
