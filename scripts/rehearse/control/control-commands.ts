import { spawn } from "node:child_process";
import { once } from "node:events";
import { type Command, Command as Commander } from "commander";
import pc from "picocolors";
import { examples } from "../../command-line";
import { EXIT } from "../exit-codes";
import type { Surroundings } from "../surroundings";
import { WrongUse } from "../wrong-use";
import type { ControlledNode } from "./control-server";
import { findSession } from "./session";

interface Flags {
  readonly of?: string;
}

/** `rehearse shell|logs|faults|abandon`: what a second terminal does with a rehearsal that runs. */
export function controlCommands({ stdout, stderr, exit }: Surroundings): Command[] {
  const add = (
    usage: string,
    description: string,
    shown: readonly string[],
    act: (url: string, argument: string | undefined) => Promise<number>,
  ) =>
    new Commander(usage.split(" ")[0])
      .description(description)
      .arguments(usage.split(" ").slice(1).join(" "))
      .option("--of <deployment>", "which rehearsal, where several run")
      .addHelpText("after", examples(...shown.map((example) => `holdfast rehearse ${example}`)))
      .action(async (...given: unknown[]) => {
        const self = given.at(-1) as Command;
        try {
          exit(await act((await findSession(self.opts<Flags>().of)).url, self.args[0]));
        } catch (error) {
          if (!(error instanceof WrongUse)) throw error;
          stderr.write(`${pc.red(error.message)}\n  next: ${error.next}\n`);
          exit(EXIT.wrongUse);
        }
      });

  return [
    add("shell <node>", "open a shell on a node of the rehearsal that runs", ["shell 01"], async (url, node) => {
      const nodes = JSON.parse(await ask(`${url}/nodes`)) as readonly ControlledNode[];
      const found = nodes.find(({ name }) => name === node);
      if (found === undefined) {
        throw new WrongUse(`there is no node ${node}`, `there are ${nodes.map(({ name }) => name).join(", ")}`);
      }
      const [program, ...args] = found.shell ?? [];
      if (program === undefined) {
        throw new WrongUse(`${node} has no shell: nothing runs on it`, "rehearse with --machines container");
      }
      const [code] = (await once(spawn(program, args, { stdio: "inherit" }), "exit")) as [number | null];
      return code ?? 1;
    }),
    add("logs <node>", "print the console of every instance that stood for a node", ["logs 01"], async (url, node) => {
      stdout.write(`${await ask(`${url}/logs?node=${encodeURIComponent(node ?? "")}`)}\n`);
      return EXIT.well;
    }),
    add(
      "faults [json]",
      "show what goes wrong in the emulated AWS, or set it; {} sets all well again",
      [
        "faults",
        `faults '{"refuse":[{"action":"DescribeInstances","percent":50}],"staleMs":2000}'`,
        `faults '{"noCapacity":{},"shutdownMs":30000,"attachingMs":20000}'`,
        "faults '{}'",
      ],
      async (url, json) => {
        const request = json === undefined ? {} : { method: "PUT", body: json };
        stdout.write(`${await ask(`${url}/faults`, request)}\n`);
        return EXIT.well;
      },
    ),
    add("abandon <node>", "abandon the launch that a node's instance waits in", ["abandon 01"], async (url, node) => {
      stdout.write(`${await ask(`${url}/abandon?node=${encodeURIComponent(node ?? "")}`, { method: "POST" })}\n`);
      return EXIT.well;
    }),
  ];
}

/** @throws WrongUse with what the rehearsal objects to */
async function ask(url: string, request: RequestInit = {}): Promise<string> {
  const response = await fetch(url, request);
  const text = await response.text();
  if (response.ok) return text;
  const { error = text } = JSON.parse(text) as { error?: string };
  throw new WrongUse(error, "holdfast rehearse faults --help shows examples");
}
