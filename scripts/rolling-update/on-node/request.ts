import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import * as z from "zod/mini";
import type { Flags } from "../cli/command-line";
import { ROLL_OPTIONS } from "../cli/roll-options";
import { longName, valueName } from "../cli/settings-of";
import { RollError } from "../roll-error";
import "../schema-messages";

export const ACTIONS = ["plan", "run", "status", "pause", "resume", "abort", "rollback", "recover"] as const;

const environmentSchema = z.object({
  HOLDFAST_ACTION: z.enum(ACTIONS),
  /** Of `recover`. */
  HOLDFAST_NODE: z._default(z.string(), ""),
  HOLDFAST_OPTIONS: z._default(z.string(), ""),
  /** The cluster's manifest: JSON, gzip, base64. */
  HOLDFAST_MANIFEST: z.string().check(z.minLength(1)),
  /** The document that had this program run, for the node that goes on. */
  HOLDFAST_DOCUMENT: z.string().check(z.minLength(1)),
  HOLDFAST_ROLE: z.string().check(z.minLength(1)),
});

/** What the document asks of the roller on this node. */
export interface NodeRequest {
  readonly action: (typeof ACTIONS)[number];
  readonly node: string;
  readonly flags: Flags;
  /** JSON */
  readonly manifest: string;
  readonly document: string;
  readonly roleArn: string;
}

/** @throws RollError SETTINGS_INCOHERENT naming what is wrong with the parameters. */
export function nodeRequest(environment: NodeJS.ProcessEnv): NodeRequest {
  const parsed = environmentSchema.safeParse(environment);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new RollError("SETTINGS_INCOHERENT", problems.join("; "));
  }
  const { HOLDFAST_ACTION: action, HOLDFAST_NODE: node, HOLDFAST_ROLE: roleArn } = parsed.data;
  if ((action === "recover") !== (node !== "")) {
    throw new RollError("SETTINGS_INCOHERENT", `Action (${action}) and Node (${node}) go together for recover, only`);
  }
  return {
    action,
    node,
    roleArn,
    flags: { ...flagsOf(wordsOf(parsed.data.HOLDFAST_OPTIONS)), yes: true, roleArn },
    manifest: gunzipSync(Buffer.from(parsed.data.HOLDFAST_MANIFEST, "base64")).toString("utf8"),
    document: parsed.data.HOLDFAST_DOCUMENT,
  };
}

/** Words between blanks, or a JSON list where one of them holds a blank. */
function wordsOf(text: string): string[] {
  const trimmed = text.trim();
  if (!trimmed.startsWith("[")) return trimmed.split(/\s+/).filter(Boolean);
  try {
    return z.array(z.string()).parse(JSON.parse(trimmed));
  } catch {
    throw new RollError("SETTINGS_INCOHERENT", `Options (${trimmed}) begins a JSON list and is no list of texts`);
  }
}

function flagsOf(words: readonly string[]): Record<string, unknown> {
  const options = Object.fromEntries(
    [
      ...ROLL_OPTIONS.map(({ flags, repeats }) => ({ flags, repeats })),
      { flags: "--json" },
      { flags: "--confirm" },
    ].map(({ flags, ...more }) => {
      const type = flags.includes("<") ? ("string" as const) : ("boolean" as const);
      const multiple = flags.includes("...") || ("repeats" in more && more.repeats === true);
      return [longName(flags), { type, multiple }];
    }),
  );
  try {
    const { values } = parseArgs({ args: [...words], options, strict: true, allowPositionals: false });
    return { ...rest(values), ...read(values) };
  } catch (error) {
    throw new RollError("SETTINGS_INCOHERENT", `Options: ${(error as Error).message}`);
  }
}

type Values = Readonly<Record<string, unknown>>;

/** Those that are no setting: `json`, `confirm`. */
function rest(values: Values): Record<string, unknown> {
  const { json, confirm } = values;
  return { ...(json === true ? { json } : {}), ...(confirm === true ? { confirm } : {}) };
}

function read(values: Values): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const option of ROLL_OPTIONS) {
    const value = values[longName(option.flags)];
    if (value === undefined) continue;
    try {
      found[valueName(option)] = typeof value === "string" && option.read ? option.read(value) : value;
    } catch (error) {
      throw new Error(`--${longName(option.flags)}: ${(error as Error).message}`);
    }
  }
  return found;
}
