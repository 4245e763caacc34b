import { Command, InvalidArgumentError, Option } from "commander";
import * as z from "zod";
import { examples } from "../../command-line";
import { parseDuration } from "../../rolling-update/cli/duration";
import { refusing } from "../../rolling-update/cli/roll-settings";
import { listById } from "../list-all";
import {
  cells,
  deploymentAction,
  type OperatorContext,
  type OperatorFlags,
  type OperatorSurroundings,
} from "../operator-command";
import { OperatorError } from "../operator-error";
import { isStandardOutput, prepareSecretFile, type SecretFile } from "../secret-file";
import { listed } from "../table";

const Issued = z.object({ id: z.string(), token: z.string() });
type Issued = z.output<typeof Issued>;
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
      await issue(context, () => api.post(`${base}/tokens`, wanted, Issued));
    },
  );

  tokenAction(
    group
      .command("rotate")
      .description("issue a token in place of another, which ends after an overlap")
      .addHelpText("after", examples("holdfast token rotate 6d0c1b7e-… --overlap 2h --out ./deployment-token"))
      .argument("<id>", "id of the token that ends", parseId)
      .option("--overlap <duration>", "how long the old one is still taken (default: 1h)", refusing(parseDuration))
      .requiredOption("--out <file>", "where to write it, - for standard output", parseOut),
    surroundings,
    async (context, base) => {
      const {
        api,
        flags,
        args: [id = ""],
      } = context;
      await issue(context, () => api.post(`${base}/tokens/${id}/rotate`, { overlapMs: flags["overlap"] }, Issued));
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
      print(all, listed(["ID", "KIND", "CREATED", "EXPIRES"], rows, "there is no valid token"));
    },
  );

  tokenAction(
    group
      .command("revoke")
      .description("revoke a token at once")
      .addHelpText("after", examples("holdfast token revoke 6d0c1b7e-…"))
      .argument("<id>", "id of the token", parseId),
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

/**
 * Has a token issued once there is a place for it: one that could be written nowhere would be valid, and nobody's.
 * @throws OperatorError TOKEN_UNWRITABLE before it is issued, TOKEN_LOST after it.
 */
async function issue({ flags, out, err, print }: OperatorContext, ask: () => Promise<Issued>): Promise<void> {
  const file = String(flags["out"]);
  if (file === "-") {
    const { id, token } = await ask();
    // First: whoever reads the token may have gone.
    err(`issued token ${id}\n`);
    out(`${token}\n`);
    return;
  }
  const place = placeFor(file);
  try {
    const { id, token } = await ask();
    put(place, token, { id, file, flags });
    print({ id, file }, `issued token ${id}, written to ${file}`);
  } finally {
    place.close();
  }
}

function placeFor(file: string): SecretFile {
  try {
    return prepareSecretFile(file);
  } catch (error) {
    throw new OperatorError("TOKEN_UNWRITABLE", `no token was issued: ${reasonOf(error)}`, {
      where: file,
      next: "name with --out a file in a folder that is there and that you can write to, - for standard output",
    });
  }
}

function put(
  place: SecretFile,
  token: string,
  { id, file, flags }: { readonly id: string; readonly file: string; readonly flags: OperatorFlags },
): void {
  try {
    place.put(token);
  } catch (error) {
    const of = flags["allDeployments"] ? " --all-deployments" : flags.deployment && ` --deployment ${flags.deployment}`;
    throw new OperatorError("TOKEN_LOST", `token ${id} was issued, but cannot be written: ${reasonOf(error)}`, {
      where: file,
      next: `holdfast token revoke ${id}${of ?? ""}, then repeat the command with another --out`,
    });
  }
}

/** Without the system call and its paths, which are not those that were named. */
const reasonOf = (error: unknown): string => String((error as Error).message).replace(/, \w+( '.*)?$/s, "");

/** It becomes a part of a path, which `..` and `?` would lead elsewhere. */
function parseId(text: string): string {
  if (!/^[\w-]+$/.test(text))
    throw new InvalidArgumentError("write the id of a token, as holdfast token list shows it");
  return text;
}

/** @returns `-` for whatever is standard output. */
function parseOut(file: string): string {
  if (file !== "-" && !isStandardOutput(file)) return file;
  if (process.stdout.isTTY)
    throw new InvalidArgumentError("a token is not written to a terminal: name a file, or pipe it on");
  return "-";
}
