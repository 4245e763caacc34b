/** One copy of the control plane, configured by its environment; ends on SIGTERM or SIGINT once it has answered what is under way. */
import { cloudWatchBacklog } from "./api/cloudwatch";
import { readConfiguration } from "./api/config";
import { createLogger } from "./api/logger";
import { startControlPlane } from "./api/server";

async function main(): Promise<void> {
  const { logLevel, cloudWatchNamespace, ...configuration } = readConfiguration(process.env);
  const controlPlane = await startControlPlane({
    ...configuration,
    logger: createLogger(logLevel),
    ...(cloudWatchNamespace !== undefined && { publishBacklog: cloudWatchBacklog(cloudWatchNamespace) }),
  });
  const stop = (): void => {
    controlPlane.stop().then(() => process.exit(0));
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exit(1);
});
