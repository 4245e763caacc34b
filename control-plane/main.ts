/** One copy of the control plane, configured by its environment; ends on SIGTERM, SIGINT or SIGHUP once it has answered what is under way. */
import { Command } from "commander";
import { examples, fail, parse } from "../scripts/command-line";
import { cloudWatchBacklog } from "./api/cloudwatch";
import { readConfiguration, VARIABLES } from "./api/config";
import { createLogger } from "./api/logger";
import { startControlPlane } from "./api/server";
import { DatabaseUnusable } from "./store/database";

const DATABASE_NEXT =
  "see that DATABASE_URL leads to a PostgreSQL that answers, and lets its user use the database; then start again";

async function run(): Promise<void> {
  const { logLevel, cloudWatchNamespace, ...configuration } = readConfiguration(process.env);
  const controlPlane = await startControlPlane({
    ...configuration,
    logger: createLogger(logLevel),
    ...(cloudWatchNamespace !== undefined && { publishBacklog: cloudWatchBacklog(cloudWatchNamespace) }),
  });
  const stop = (): void => {
    controlPlane.stop().then(() => process.exit(0));
  };
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, stop);
}

const program = new Command("node --import tsx control-plane/main.ts")
  .description("Run one copy of the control plane until SIGTERM, SIGINT or SIGHUP, configured by its environment")
  .addHelpText(
    "after",
    `
Variables:
${Object.entries(VARIABLES)
  .map(([name, says]) => `  ${name.padEnd(31)}${says}`)
  .join("\n")}
${examples("DATABASE_URL=postgres://… HOLDFAST_KEYRING=k1:… node --import tsx control-plane/main.ts")}`,
  )
  .action(() =>
    run().catch((error: Error) => {
      fail(error, error instanceof DatabaseUnusable ? DATABASE_NEXT : undefined);
      process.exit(1);
    }),
  );

void parse(program);
