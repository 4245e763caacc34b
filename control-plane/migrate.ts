/** Brings the control plane's schema up to date as the owner of its tables, and lets another role run the control plane on it. */
import { Command } from "commander";
import { examples, fail, parse } from "../scripts/command-line";
import { readDatabaseUrl } from "./api/config";
import { grantTo } from "./store/app-role";
import { openDatabase } from "./store/database";
import { migrate } from "./store/migrate";

const NEXT =
  "see that DATABASE_URL leads to a server that answers and is the owner's of its tables; then repeat the command, which goes on";

const program = new Command("npm run migrate --")
  .description("Apply the migrations of this version, which a copy of the control plane otherwise does when it starts")
  .option("--grant-to <role>", "then grant this role what it needs to run the control plane, and no more")
  .addHelpText(
    "after",
    `
The address holds a password, so it comes from DATABASE_URL. Run it before the copies of a new version are started.
${examples("DATABASE_URL=postgres://owner:…@host/holdfast npm run migrate -- --grant-to holdfast_app")}`,
  )
  .action(({ grantTo: role }: { grantTo?: string }) => run(role).catch((error) => fail(error, NEXT)));

async function run(role: string | undefined): Promise<void> {
  const pool = openDatabase(readDatabaseUrl(process.env, "DATABASE_URL"), 1);
  try {
    for (const name of await migrate(pool, { waits: console.error })) console.log(`applied ${name}`);
    for (const statement of role === undefined ? [] : await grantTo(pool, role)) console.log(`${statement};`);
  } finally {
    await pool.end();
  }
}

void parse(program);
