/** What all operator commands share: how they reach the control plane, print, and fail. */
import { type Command, InvalidArgumentError } from "commander";
import * as z from "zod";
import { type ControlPlaneApi, controlPlaneApi } from "./control-plane";
import { listNamed } from "./list-all";
import { OperatorError } from "./operator-error";
import { readSecret } from "./secret";
import { shownAs } from "./table";

export const EXIT = { done: 0, failed: 1 } as const;

/** The world around a command; tests put their own. */
export interface OperatorSurroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly out: (text: string) => unknown;
  readonly err: (text: string) => unknown;
  readonly exit: (code: number) => void;
}

export interface OperatorFlags {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly deployment?: string;
  readonly json?: true;
  readonly [option: string]: unknown;
}

export interface OperatorContext {
  readonly api: ControlPlaneApi;
  readonly flags: OperatorFlags;
  readonly environment: OperatorSurroundings["environment"];
  /** The arguments, in the order of the command's own. */
  readonly args: readonly string[];
  readonly out: OperatorSurroundings["out"];
  /** For what is said beside the answer. */
  readonly err: OperatorSurroundings["err"];
  /** Prints data as JSON where it was asked for, else the text. */
  readonly print: (data: unknown, text: string) => void;
}

/** Something an API list holds. */
export const Listed = z.looseObject({ id: z.string(), name: z.string() });
export type Listed = z.output<typeof Listed>;

const DEFAULT_URL = "http://127.0.0.1:7600";

/** Adds the options by which a command reaches the control plane, and what it does there. */
export function operatorAction(
  command: Command,
  surroundings: OperatorSurroundings,
  act: (context: OperatorContext) => Promise<void>,
): Command {
  return command
    .option("--url <url>", `the control plane (default: HOLDFAST_URL, else ${DEFAULT_URL})`)
    .option(
      "--token-file <file>",
      "file of an operator's token, - for standard input (default: HOLDFAST_TOKEN_FILE, HOLDFAST_TOKEN)",
    )
    .option("--json", "print JSON")
    .action(async (...given: unknown[]) => {
      const self = given.at(-1) as Command;
      const flags = self.opts<OperatorFlags>();
      const { environment, out, err, exit } = surroundings;
      try {
        const print = (data: unknown, text: string) => out(`${flags.json ? JSON.stringify(data, null, 2) : text}\n`);
        await act({ api: connect(flags, environment), flags, environment, args: self.args, out, err, print });
        exit(EXIT.done);
      } catch (error) {
        if (!(error instanceof OperatorError)) throw error;
        const told = error.elseNext(nextAfter(error.code, self));
        if (flags.json) out(`${JSON.stringify({ error: told.data }, null, 2)}\n`);
        else err(`${told.text}\n`);
        exit(EXIT.failed);
      }
    });
}

/** Where to look when a control plane refuses, where that is not among the command's own. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "datasource delete": "holdfast job list",
  "datasource test": "holdfast worker list",
  "key rotate": "holdfast datasource list",
};

/** What to do about a refusal that says nothing of it: see what there is, or what may be written. */
function nextAfter(code: string, command: Command): string {
  const group = command.parent;
  const called = `${group?.name()} ${command.name()}`;
  const lists = group?.commands.map((one) => one.name()).find((name) => ["list", "status"].includes(name));
  const isWrong = ["INVALID_MESSAGE", "TOO_LARGE"].includes(code) || (!lists && !ELSEWHERE[called]);
  if (isWrong) return `holdfast ${called} --help`;
  return ELSEWHERE[called] ?? `holdfast ${group?.name()} ${lists}`;
}

/** As `operatorAction`, for what belongs to a deployment, unless `elsewhere` says under which path it is instead. */
export function deploymentAction(
  command: Command,
  surroundings: OperatorSurroundings,
  act: (context: OperatorContext, base: string) => Promise<void>,
  elsewhere: (context: OperatorContext) => string | undefined = () => undefined,
): Command {
  return operatorAction(command, surroundings, async (context) => {
    await act(context, elsewhere(context) ?? `/api/v1/deployments/${(await chosenDeployment(context)).id}`);
  }).option("--deployment <name>", "the deployment (default: HOLDFAST_DEPLOYMENT, else the only one there is)");
}

function connect(flags: OperatorFlags, environment: OperatorSurroundings["environment"]): ControlPlaneApi {
  const url = (flags.url ?? (environment["HOLDFAST_URL"] || DEFAULT_URL)).replace(/\/+$/, "");
  if (!/^https?:\/\/[^/@]+$/.test(url)) {
    throw new OperatorError("URL_INVALID", `${url} is not the address of a control plane`, {
      next: "write --url https://host or http://host:port, without a path and without credentials",
    });
  }
  const token = readSecret({
    what: "the operator's token",
    variable: "HOLDFAST_TOKEN",
    environment,
    file: flags.tokenFile ?? (environment["HOLDFAST_TOKEN_FILE"] || undefined),
    option: "--token-file",
  });
  if (!/^hfo_[\w-]{8,}$/.test(token)) {
    throw new OperatorError("TOKEN_INVALID", "the token is not an operator's: those begin with hfo_", {
      next: "name the file of an operator's token with --token-file",
    });
  }
  return controlPlaneApi(url, token);
}

async function chosenDeployment({ api, flags, environment }: OperatorContext): Promise<Listed> {
  const all = await listNamed(api, "/api/v1/deployments", Listed);
  const wanted = flags.deployment ?? (environment["HOLDFAST_DEPLOYMENT"] || undefined);
  if (wanted !== undefined) return oneOf(all, "deployment", wanted, "holdfast deployment list");
  const [only, another] = all;
  if (!only) {
    throw new OperatorError("DEPLOYMENT_MISSING", "there is no deployment", {
      where: api.url,
      next: "holdfast deployment create <name>",
    });
  }
  if (another) {
    throw new OperatorError("DEPLOYMENT_AMBIGUOUS", `there are several: ${all.map(({ name }) => name).join(", ")}`, {
      where: api.url,
      next: "choose one with --deployment <name> or HOLDFAST_DEPLOYMENT",
    });
  }
  return only;
}

/** The one with this name or id. */
export function oneOf<Item extends { readonly id: string; readonly name: string }>(
  items: readonly Item[],
  what: string,
  wanted: string,
  list: string,
): Item {
  const found = items.find(({ name, id }) => name === wanted || id === wanted);
  if (found) return found;
  const known = items.map(({ name }) => name).slice(0, 20);
  throw new OperatorError(
    `${what.toUpperCase()}_UNKNOWN`,
    `there is no ${what} ${wanted}; ${known.length > 0 ? `there are ${known.join(", ")}` : "there is none"}`,
    { next: list },
  );
}

/** `key=value`, any number of them: the collector of a repeatable option. */
export function collectPair(pair: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError("write key=value");
  return { ...before, [key]: value };
}

/** Cells of a row, from what the API answered. */
export const cells = (item: Readonly<Record<string, unknown>>, ...keys: readonly string[]): string[] =>
  keys.map((key) => shownAs(item[key]));
