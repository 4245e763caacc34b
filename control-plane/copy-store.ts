/** Moves a control plane to another PostgreSQL: copies its store into an empty database and compares every table. */
import { Command } from "commander";
import { examples, fail, parse } from "../scripts/command-line";
import { readDatabaseUrl } from "./api/config";
import { copyStore } from "./store/copy-store";
import { databaseUrl, type PrivateCluster, startPrivateCluster } from "./store/private-cluster";

const DONE =
  "Start the control plane with the new DATABASE_URL and the same HOLDFAST_KEYRING; workers come back by themselves.";
const NEXT =
  "see that both databases answer, that no control plane runs on either, and that the target is empty; then repeat the command";

interface Options {
  readonly cluster?: string;
  readonly database: string;
}

const program = new Command("npm run copy-store --")
  .description("Copy the store of a stopped control plane into an empty database")
  .option("--cluster <folder>", "the folder of a private cluster to copy from (default: the database of DATABASE_URL)")
  .option("--database <name>", "which of the private cluster's databases holds the store", "postgres")
  .addHelpText(
    "after",
    `
Addresses hold passwords, so they come from variables: DATABASE_URL (to copy from), HOLDFAST_TARGET_DATABASE_URL (to copy into).
Stop every copy of the control plane first. Jobs run on meanwhile, for as long as their workers' leases last.
${examples(
  "HOLDFAST_TARGET_DATABASE_URL=postgres://… npm run copy-store -- --cluster .holdfast/postgres --database holdfast",
  "DATABASE_URL=postgres://… HOLDFAST_TARGET_DATABASE_URL=postgres://… npm run copy-store",
)}`,
  )
  .action((options: Options) => run(options).catch((error) => fail(error, NEXT)));

async function run({ cluster, database }: Options): Promise<void> {
  const into = readDatabaseUrl(process.env, "HOLDFAST_TARGET_DATABASE_URL");
  const running = cluster === undefined ? undefined : await startCluster(cluster);
  try {
    const from = running ? databaseUrl(running.url, database) : readDatabaseUrl(process.env, "DATABASE_URL");
    for (const { table, rows, checksum } of await copyStore(from, into)) {
      console.log(`${table.padEnd(18)} ${`${rows}`.padStart(8)} rows  ${checksum}`);
    }
    console.log(DONE);
  } finally {
    await running?.stop();
  }
}

/** Ended at once by what interrupts the copy: it would outlive it. */
async function startCluster(directory: string): Promise<PrivateCluster> {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      interrupted.abort();
      process.exit(130);
    });
  }
  // A server that has a job's slot, as a local fleet's has, does not start without.
  const settings = { wal_level: "logical" };
  return await startPrivateCluster({ directory, settings, abandoned: interrupted.signal });
}

void parse(program);
