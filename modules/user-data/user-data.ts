import { TerraformLocal, Token } from "cdktf";
import { Construct } from "constructs";
import { escapeTemplate, hcl } from "../publish/expressions";
import { type DocumentFile, type DocumentPart, filePart, programParts, START } from "./boot-document";
import { gzip, gzipForConcatenation } from "./gzip";
import { holdsTokens, jsonTemplate, jsonText } from "./json-text";

/**
 * What EC2 takes, counted before base64.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
 */
export const USER_DATA_LIMIT_BYTES = 16_384;

export interface UserDataProps {
  /** Who boots it, for messages: "pool docs". */
  readonly owner: string;
  /** The bundle in dist/ that is run, as `node /opt/holdfast/<program>.mjs boot`: "worker". */
  readonly program: string;
  /**
   * Written to /etc/holdfast/<program>.json. Plain data whose values may be tokens, alone or inside a string. Never a
   * secret: whoever may describe launch templates reads it, and every process on the instance.
   */
  readonly config: Readonly<Record<string, unknown>>;
  /**
   * Environment of the program and of what it starts, written to /etc/holdfast/environment; values may be tokens.
   * @default - none
   */
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * Other files; contents may be tokens.
   * @default - none
   */
  readonly files?: readonly DocumentFile[];
}

/** A part of user data and the compressed bytes that it takes up. */
export interface UserDataPart {
  readonly name: string;
  readonly bytes: number;
}

/**
 * User data that boots one of the programs: a gzip-compressed shell script that carries the program, its configuration and
 * its files as text, the same bytes on every machine.
 *
 * With concrete values the whole is compressed here. Where a value is known to Terraform only, the program is compressed
 * here and the rest by Terraform; cloud-init unpacks both as one, since gzip members may follow each other (RFC 1952, 2.2).
 */
export class UserData extends Construct {
  /** For `user_data` of a launch template: base64, at most 16,384 bytes before it. */
  public readonly base64: string;
  /** Compressed bytes; of the part that is known here, where values are known to Terraform only. */
  public readonly sizeBytes: number;
  /** What Terraform must check where it compresses a part; belongs into `lifecycle.precondition` of the launch template. */
  public readonly sizeCheck: { readonly condition: string; readonly errorMessage: string } | undefined;
  readonly #document: readonly DocumentPart[];

  /** @throws Error naming the owner, the size and the three largest parts, if it is more than EC2 takes. */
  public constructor(scope: Construct, id: string, props: UserDataProps) {
    super(scope, id);
    const fixed = programParts(props.program);
    const { environment = {}, files = [] } = props;
    checkEnvironment(props.owner, environment);

    if (holdsTokens([props.config, environment, files])) {
      this.#document = fixed;
      const known = gzipForConcatenation(text(fixed));
      this.sizeBytes = known.length;
      const rest = text([
        filePart({ path: configPath(props), content: jsonTemplate(props.config) }),
        ...environmentParts(environment, escapeUnlessToken),
        ...files.map((file) => filePart({ ...file, content: escapeUnlessToken(file.content) })),
        START,
      ]);
      const local = `local.${new TerraformLocal(this, "configuration", rest).friendlyUniqueId}`;
      const compressed = `base64gzip(${local})`;
      this.base64 = known.toString("base64") + Token.asString(hcl(compressed));
      const bytes = `length(${compressed}) * 3 / 4 - length(regexall("=", ${compressed})) + ${known.length}`;
      this.sizeCheck = {
        condition: Token.asString(hcl(`${bytes} <= ${USER_DATA_LIMIT_BYTES}`)),
        errorMessage:
          `${props.owner}: user data takes ${Token.asString(hcl(bytes))} bytes compressed, ` +
          `EC2 takes ${USER_DATA_LIMIT_BYTES}. Shorten the hooks or the CloudWatch agent configuration.`,
      };
    } else {
      this.#document = [
        ...fixed,
        ...configParts(props),
        ...environmentParts(environment, (value) => value),
        ...files.map(filePart),
        START,
      ];
      const whole = gzip(text(this.#document));
      this.sizeBytes = whole.length;
      this.base64 = whole.toString("base64");
      this.sizeCheck = undefined;
    }
    if (this.sizeBytes > USER_DATA_LIMIT_BYTES) throw this.tooLarge(props.owner);
  }

  /** Every part with what would be saved without it, largest first. */
  public parts(): UserDataPart[] {
    const whole = gzip(text(this.#document)).length;
    return this.#document
      .map((part) => ({
        name: part.name,
        bytes: whole - gzip(text(this.#document.filter((other) => other !== part))).length,
      }))
      .sort((a, b) => b.bytes - a.bytes);
  }

  private tooLarge(owner: string): Error {
    const largest = this.parts()
      .slice(0, 3)
      .map(({ name, bytes }) => `${name} (${bytes} bytes)`)
      .join(", ");
    return new Error(
      `${owner}: user data takes ${this.sizeBytes} bytes compressed, ${this.sizeBytes - USER_DATA_LIMIT_BYTES} more than ` +
        `the ${USER_DATA_LIMIT_BYTES} that EC2 takes. Its largest parts are ${largest}.`,
    );
  }
}

const configPath = ({ program }: UserDataProps) => `/etc/holdfast/${program}.json`;

const text = (parts: readonly DocumentPart[]) => parts.map((part) => part.text).join("");

/** The configuration's file, cut into one part per setting, so that the account of sizes names the setting. */
function configParts(props: UserDataProps): DocumentPart[] {
  const path = configPath(props);
  const settings = Object.entries(props.config).filter(([, value]) => value !== undefined);
  const [before = "", after = ""] = filePart({ path, content: "\0" }).text.split("\0");
  return [
    { name: path, text: `${before}{` },
    ...settings.map(([key, value], index) => ({
      name: `${path} ${key}`,
      text: `${index === 0 ? "" : ","}${jsonText(key)}:${jsonText(value)}`,
    })),
    { name: path, text: `}${after}` },
  ];
}

function environmentParts(
  environment: Readonly<Record<string, string>>,
  written: (value: string) => string,
): DocumentPart[] {
  const lines = Object.entries(environment).map(([name, value]) => `${name}=${written(value)}`);
  return lines.length === 0 ? [] : [filePart({ path: "/etc/holdfast/environment", content: lines.join("\n") })];
}

/** One assignment per line, read by the script and by systemd alike. */
function checkEnvironment(owner: string, environment: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(environment)) {
    if (!/^[A-Za-z_]\w*$/.test(name)) throw new Error(`${owner}: environment: ${name} is not a variable's name`);
    if (value.includes("\n")) throw new Error(`${owner}: environment: ${name} must be one line`);
  }
}

const escapeUnlessToken = (value: string) => (Token.isUnresolved(value) ? value : escapeTemplate(value));
