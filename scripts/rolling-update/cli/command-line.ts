import type { Command } from "commander";
import { examples } from "../../command-line";
import { type Manifest, manifestFrom } from "../manifest";
import { asRollError } from "../roll-error";
import type { RollPorts } from "../roll-ports";
import type { Settings } from "../settings";
import { applicationOf } from "./application";
import { exitCodeOfError } from "./exit-codes";
import { errorData, errorText } from "./report";
import type { Connected, Surroundings } from "./surroundings";

/** What every command takes. */
export interface Flags {
  readonly cluster?: string;
  readonly roleArn?: string;
  readonly json?: true;
  readonly yes?: true;
  readonly confirm?: true;
  readonly [other: string]: unknown;
}

/** What a command does; resolves to its exit code. */
export type Act = (flags: Flags, args: readonly string[]) => Promise<number>;

/** The commands' common ground: how they are added, reach AWS, print, and end. */
export class CommandLine {
  constructor(
    readonly surroundings: Surroundings,
    private readonly exit: (code: number) => void,
  ) {}

  /**
   * Adds a command that ends with the code it resolves to; what it throws is told, with a code of its own.
   * @param json what it prints with `--json`
   */
  add(parent: Command, name: string, description: string, shown: readonly string[], json: string, act: Act): Command {
    const { stdout, stderr } = this.surroundings;
    return parent
      .command(name)
      .description(description)
      .option("--json", `print JSON: ${json}`)
      .addHelpText("after", examples(...shown.map((example) => `holdfast ${example}`)))
      .action(async (...given: unknown[]) => {
        const self = given.at(-1) as Command;
        const flags = self.opts<Flags>();
        try {
          this.exit(await act(flags, self.args));
        } catch (error) {
          const known = asRollError(error);
          if (flags.json) stdout.write(`${JSON.stringify({ error: errorData(known) })}\n`);
          else stderr.write(`${errorText(known)}\n`);
          this.exit(exitCodeOfError(known));
        }
      });
  }

  print({ json }: Flags, data: unknown, text: string): void {
    this.surroundings.stdout.write(`${json ? JSON.stringify(data) : text}\n`);
  }

  /** The cluster and the account it is in. @throws RollError MANIFEST_INVALID */
  reach({ cluster, roleArn }: Flags): Connected & { readonly manifest: Manifest } {
    const manifest = manifestFrom(cluster);
    return { manifest, ...this.surroundings.connect(manifest, roleArn) };
  }

  /** Everything a roll with these settings works with. */
  ports(
    { manifest, cloud, store, channel }: Connected & { readonly manifest: Manifest },
    settings: Settings,
    flags: Flags,
  ): RollPorts {
    const { clock, stdout, probe, telling } = this.surroundings;
    const application = applicationOf(settings, { nodes: manifest.nodes, clock, channel });
    return {
      cloud,
      store,
      clock,
      ...application,
      ...(probe === undefined ? {} : { probe }),
      report: telling(stdout, manifest, flags.json === true),
    };
  }
}

export function withCluster(command: Command): Command {
  return command
    .option("--cluster <file>", "the cluster's manifest, JSON (default: the JSON in HOLDFAST_CLUSTER)")
    .option("--role-arn <arn>", "assume this role with the default credentials first");
}
