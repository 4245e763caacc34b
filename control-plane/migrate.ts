/** Brings the control plane's schema up to date as the owner of its tables, and lets another role run the control plane on it. */
import { Command } from "commander";
import { grantTo } from "./store/app-role";
import { openDatabase } from "./store/database";
import { migrate } from "./store/migrate";

new Command("npm run migrate --")
  .description("Apply the migrations of this version, which a copy of the control plane otherwise does when it starts")
  .option("--grant-to <role>", "then grant this role what it needs to run the control plane, and no more")
  .addHelpText(
    "after",
    `
The address holds a password, so it comes from DATABASE_URL. Run it before the copies of a new version are started.

Examples:
  $ DATABASE_URL=postgres://owner:…@host/holdfast npm run migrate -- --grant-to holdfast_app`,
  )
  .action(async ({ grantTo: role }: { grantTo?: string }, command: Command) => {
    const { DATABASE_URL: url } = process.env;
    if (!url) return command.error("error: set DATABASE_URL to the address of the tables' owner");
    const pool = openDatabase(url, 1);
    try {
      for (const name of await migrate(pool)) console.log(`applied ${name}`);
      for (const statement of role === undefined ? [] : await grantTo(pool, role)) console.log(`${statement};`);
    } catch (error) {
      command.error(`error: ${error instanceof Error ? error.message : error}`);
    } finally {
      await pool.end();
    }
  })
  .parseAsync();
