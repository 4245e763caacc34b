/** Moves a control plane to another PostgreSQL: copies its store into an empty database and compares every table. */
import { Command } from "commander";
import { copyStore } from "./store/copy-store";
import { startPrivateCluster } from "./store/private-cluster";

const NEXT =
  "Start the control plane with the new DATABASE_URL and the same HOLDFAST_KEYRING; workers come back by themselves.";

new Command("npm run copy-store --")
  .description("Copy the store of a stopped control plane into an empty database")
  .option("--cluster <folder>", "the folder of a private cluster to copy from (default: the database of DATABASE_URL)")
  .addHelpText(
    "after",
    `
Addresses hold passwords, so they come from variables: DATABASE_URL (to copy from), HOLDFAST_TARGET_DATABASE_URL (to copy into).
Stop every copy of the control plane first. Jobs run on meanwhile, for as long as their workers' leases last.

Examples:
  $ HOLDFAST_TARGET_DATABASE_URL=postgres://… npm run copy-store -- --cluster .holdfast/postgres
  $ DATABASE_URL=postgres://… HOLDFAST_TARGET_DATABASE_URL=postgres://… npm run copy-store`,
  )
  .action(async ({ cluster }: { cluster?: string }, command: Command) => {
    const { DATABASE_URL: from, HOLDFAST_TARGET_DATABASE_URL: to } = process.env;
    if (!to) return command.error("error: set HOLDFAST_TARGET_DATABASE_URL to the database to copy into");
    if (!from && !cluster) return command.error("error: set DATABASE_URL, or name a private cluster with --cluster");
    const running = cluster ? await startPrivateCluster({ directory: cluster }) : undefined;
    try {
      for (const { table, rows, checksum } of await copyStore(running?.url ?? String(from), to)) {
        console.log(`${table.padEnd(18)} ${`${rows}`.padStart(8)} rows  ${checksum}`);
      }
      console.log(NEXT);
    } catch (error) {
      command.error(`error: ${error instanceof Error ? error.message : error}`);
    } finally {
      await running?.stop();
    }
  })
  .parseAsync();
