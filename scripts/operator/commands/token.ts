import { chmodSync, writeFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import * as z from "zod";
import { examples } from "../../command-line";
import { parseDuration } from "../../rolling-update/cli/duration";
import { refusing } from "../../rolling-update/cli/roll-settings";
import { listById } from "../list-all";
import { cells, deploymentAction, type OperatorContext, type OperatorSurroundings } from "../operator-command";
import { OperatorError } from "../operator-error";
import { table } from "../table";

const Issued = z.object({ id: z.string(), token: z.string() });
const OF_ALL = "/api/v1";

export function tokenCommand(surroundings: OperatorSurroundings): Command {
  const group = new Command("token")
    .description("tokens of operators, and of deployments, with which workers register")
    .addHelpText(
      "after",
      `
A token is written to a file that only you can read, and shown nowhere. Write it to - to pipe it into a store of secrets.
${examples(
  "holdfast token create --kind deployment --out ./deployment-token",
  "holdfast token create --kind deployment --out - | aws secretsmanager put-secret-value --secret-id shop --secret-string file:///dev/stdin",
  "holdfast token create --all-deployments --out ./operator-token --expires-in 720h",
  "holdfast token rotate 6d0c1b7e-… --overlap 2h --out ./deployment-token",
  "holdfast token revoke 6d0c1b7e-…",
)}`,
    );

  tokenAction(
    group
      .command("create")
      .description("issue a token")
      .addHelpText("after", examples("holdfast token create --kind deployment --out ./deployment-token"))
      .addOption(
        new Option("--kind <kind>", "who will hold it").choices(["deployment", "operator"]).default("operator"),
      )
      .option(
        "--expires-in <duration>",
        "how long it is valid: 90s, 10m, 720h (default: until it is revoked)",
        refusing(parseDuration),
      )
      .requiredOption("--out <file>", "where to write it, - for standard output", parseOut),
    surroundings,
    async (context, base) => {
      const { api, flags } = context;
      const isOfAll = flags["allDeployments"] === true;
      if (isOfAll && flags["kind"] === "deployment") {
        throw new OperatorError("OPTIONS_CONTRADICT", "a deployment's token belongs to one deployment", {
          next: "leave out --all-deployments",
        });
      }
      const wanted = { ...(!isOfAll && { kind: flags["kind"] }), expiresInMs: flags["expiresIn"] };
      keep(context, await api.post(`${base}/tokens`, wanted, Issued));
    },
  );

  tokenAction(
    group
      .command("rotate")
      .description("issue a token in place of another, which ends after an overlap")
      .addHelpText("after", examples("holdfast token rotate 6d0c1b7e-… --overlap 2h --out ./deployment-token"))
      .argument("<id>", "id of the token that ends")
      .option("--overlap <duration>", "how long the old one is still taken (default: 1h)", refusing(parseDuration))
      .requiredOption("--out <file>", "where to write it, - for standard output", parseOut),
    surroundings,
    async (context, base) => {
      const {
        api,
        flags,
        args: [id = ""],
      } = context;
      keep(context, await api.post(`${base}/tokens/${id}/rotate`, { overlapMs: flags["overlap"] }, Issued));
    },
  );

  tokenAction(
    group
      .command("list")
      .description("list valid tokens, never the tokens themselves")
      .addHelpText("after", examples("holdfast token list")),
    surroundings,
    async ({ api, print }, base) => {
      const all = await listById(api, `${base}/tokens`, z.looseObject({ id: z.string() }));
      const rows = all.map((token) => cells(token, "id", "kind", "createdAt", "expiresAt"));
      print(all, table(["ID", "KIND", "CREATED", "EXPIRES"], rows));
    },
  );

  tokenAction(
    group
      .command("revoke")
      .description("revoke a token at once")
      .addHelpText("after", examples("holdfast token revoke 6d0c1b7e-…"))
      .argument("<id>", "id of the token"),
    surroundings,
    async ({ api, args: [id = ""], print }, base) => {
      await api.delete(`${base}/tokens/${id}`);
      print({ id }, `revoked token ${id}`);
    },
  );
  return group;
}

/** Of a deployment, or with `--all-deployments` of the operators of all. */
function tokenAction(
  command: Command,
  surroundings: OperatorSurroundings,
  act: (context: OperatorContext, base: string) => Promise<void>,
): Command {
  command.option("--all-deployments", "tokens of operators of all deployments");
  return deploymentAction(command, surroundings, act, ({ flags }) => (flags["allDeployments"] ? OF_ALL : undefined));
}

function keep({ flags, out, print }: OperatorContext, { id, token }: z.output<typeof Issued>): void {
  const file = String(flags["out"]);
  if (file === "-") {
    out(`${token}\n`);
    return;
  }
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  chmodSync(file, 0o600);
  print({ id, file }, `issued token ${id}, written to ${file}`);
}

function parseOut(file: string): string {
  if (file === "-" && process.stdout.isTTY)
    throw new InvalidArgumentError("a token is not written to a terminal: name a file, or pipe it on");
  return file;
}
