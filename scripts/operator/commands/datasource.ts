import { Command, Option } from "commander";
import * as z from "zod";
import { examples } from "../../command-line";
import { listNamed } from "../list-all";
import {
  cells,
  collectPair,
  deploymentAction,
  Listed,
  type OperatorContext,
  type OperatorFlags,
  type OperatorSurroundings,
  oneOf,
} from "../operator-command";
import { OperatorError } from "../operator-error";
import { readSecret } from "../secret";
import { facts, listed } from "../table";
import { showTest, testConnection } from "./connection-test";

const ENGINES = ["postgres", "mysql", "starrocks", "snowflake"];
const PASSWORD_FILE = "--password-file";

const Datasource = Listed.extend({ options: z.record(z.string(), z.string()) });
type Datasource = z.output<typeof Datasource>;

export function datasourceCommand(surroundings: OperatorSurroundings): Command {
  const group = new Command("datasource")
    .description("databases that jobs read from and write to")
    .addHelpText(
      "after",
      examples(
        "holdfast datasource create orders --engine postgres --at postgres://db.internal:5432/shop --user cdc --password-file ./password",
        "pass show shop/cdc | holdfast datasource change orders --password-file -",
        "holdfast datasource change orders --option sslmode=verify-full",
        "holdfast datasource test orders --role source",
        "holdfast datasource list",
      ),
    );

  deploymentAction(
    withSettings(
      group
        .command("create")
        .description("create a datasource; its password is sealed and never shown again")
        .addHelpText(
          "after",
          examples(
            "holdfast datasource create orders --engine postgres --at postgres://db.internal:5432/shop --user cdc --password-file ./password",
          ),
        ),
    ).addOption(new Option("--engine <engine>", "what it is").choices(ENGINES).makeOptionMandatory()),
    surroundings,
    async (context, base) => {
      const {
        api,
        flags,
        args: [name = ""],
        print,
      } = context;
      const wanted = {
        name,
        engine: flags["engine"],
        url: flags["at"],
        user: flags["user"],
        password: passwordOf(context),
        options: flags["option"] ?? {},
      };
      const { id } = await api.post(`${base}/datasources`, wanted, z.object({ id: z.string() }));
      print({ id, name }, `created datasource ${name}`);
    },
  );

  deploymentAction(
    withSettings(
      group
        .command("change")
        .description("change a datasource; jobs that run take it up with their next start")
        .addHelpText(
          "after",
          `
What is not named stays as it is, each option too.
${examples(
  "pass show shop/cdc | holdfast datasource change orders --password-file -",
  "holdfast datasource change orders --option sslmode=verify-full",
  "holdfast datasource change orders --remove-option SINK_SCHEMA",
)}`,
        ),
    ).option("--remove-option <key>", "a setting of the daemon to remove; may be repeated", collectKey),
    surroundings,
    async (context, base) => {
      const {
        api,
        flags,
        args: [wanted = ""],
        print,
      } = context;
      const datasource = await found(context, base, wanted);
      const { id, name } = datasource;
      const options = optionsOf(flags, datasource);
      const isNewPassword = flags["passwordFile"] !== undefined || context.environment["HOLDFAST_DATASOURCE_PASSWORD"];
      const change = {
        ...(flags["at"] !== undefined && { url: flags["at"] }),
        ...(flags["user"] !== undefined && { user: flags["user"] }),
        ...options,
        ...(isNewPassword && { password: passwordOf(context) }),
      };
      const { version } = await api.post(`${base}/datasources/${id}`, change, z.object({ version: z.int() }));
      print({ id, name, version }, `changed datasource ${name}, version ${version}`);
    },
  );

  deploymentAction(
    group.command("list").description("list datasources").addHelpText("after", examples("holdfast datasource list")),
    surroundings,
    async ({ api, print }, base) => {
      const all = await listNamed(api, `${base}/datasources`, Listed);
      const rows = all.map((each) => cells(each, "name", "engine", "url", "user", "jobs"));
      print(all, listed(["NAME", "ENGINE", "URL", "USER", "JOBS"], rows, "there is no datasource"));
    },
  );

  deploymentAction(
    group
      .command("show")
      .description("show a datasource, without its password")
      .addHelpText("after", examples("holdfast datasource show orders"))
      .argument("<name>", "name or id"),
    surroundings,
    async (context, base) => {
      const datasource = await found(context, base, context.args[0] ?? "");
      context.print(datasource, facts(datasource));
    },
  );

  deploymentAction(
    group
      .command("test")
      .description("let a worker test the connection, step by step; fails when a step fails")
      .addHelpText("after", examples("holdfast datasource test orders --role source"))
      .argument("<name>", "name or id")
      .addOption(
        new Option("--role <role>", "what it is to be used as").choices(["source", "sink"]).makeOptionMandatory(),
      )
      .option("--pool <pool>", "the pool whose worker tests it", "default"),
    surroundings,
    async (context, base) => {
      const { id, name } = await found(context, base, context.args[0] ?? "");
      const { role, pool } = context.flags;
      const test = await testConnection(context, `${base}/datasources/${id}`, base, { role, pool: String(pool) });
      await showTest(context, name, test);
    },
  );

  deploymentAction(
    group
      .command("delete")
      .description("delete a datasource that no job uses")
      .addHelpText("after", examples("holdfast datasource delete orders"))
      .argument("<name>", "name or id"),
    surroundings,
    async (context, base) => {
      const { id, name } = await found(context, base, context.args[0] ?? "");
      await context.api.delete(`${base}/datasources/${id}`);
      context.print({ id, name }, `deleted datasource ${name}`);
    },
  );
  return group;
}

function withSettings(command: Command): Command {
  return command
    .argument("<name>", "its name in the deployment")
    .option("--at <url>", "where it is, without credentials: postgres://host:5432/database")
    .option("--user <user>", "who logs in")
    .option(
      `${PASSWORD_FILE} <file>`,
      "file of the password, - for standard input (default: HOLDFAST_DATASOURCE_PASSWORD)",
    )
    .option("--option <key=value>", "a setting of the daemon; may be repeated", collectPair);
}

function passwordOf({ flags, environment }: OperatorContext): string {
  const file = flags["passwordFile"] as string | undefined;
  const variable = "HOLDFAST_DATASOURCE_PASSWORD";
  return readSecret({ what: "the datasource's password", variable, environment, file, option: PASSWORD_FILE });
}

/**
 * Which options are to be set and removed; the control plane leaves the others as they are, whoever changes them meanwhile.
 * @throws OperatorError where one is to be removed that is not there, or is set as well.
 */
function optionsOf(flags: OperatorFlags, { name, options }: Datasource): object {
  const setOptions = flags["option"] as Record<string, string> | undefined;
  const removeOptions = flags["removeOption"] as readonly string[] | undefined;
  for (const key of removeOptions ?? []) {
    if (setOptions !== undefined && Object.hasOwn(setOptions, key)) {
      throw new OperatorError("OPTIONS_CONTRADICT", `option ${key} is to be set and removed`, {
        next: "leave out --option or --remove-option",
      });
    }
    if (!Object.hasOwn(options, key)) {
      const known = Object.keys(options).join(", ");
      throw new OperatorError("OPTION_UNKNOWN", `${name} has no option ${key}; it has ${known || "none"}`, {
        next: `holdfast datasource show ${name}`,
      });
    }
  }
  return { ...(setOptions && { setOptions }), ...(removeOptions && { removeOptions }) };
}

const collectKey = (key: string, before: readonly string[] = []): string[] => [...before, key];

async function found({ api }: OperatorContext, base: string, wanted: string): Promise<Datasource> {
  const all = await listNamed(api, `${base}/datasources`, Datasource);
  return oneOf(all, "datasource", wanted, "holdfast datasource list");
}
