/**
 * `npm run record-roll`: the terminal session in docs/rolling-update.md, as the real commands print it against the
 * simulator, in virtual time: a plan, a roll, a release whose nodes do not come up, and the way back.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { Command } from "commander";
import { examples, parse } from "./command-line";
import { placeInPage } from "./place-in-page";
import { progress } from "./rolling-update/cli/progress";
import { rollCommand } from "./rolling-update/cli/roll-command";
import { MemoryStore } from "./rolling-update/simulator/memory-store";
import { SimulatedAws } from "./rolling-update/simulator/simulated-aws";

const PAGE = "docs/rolling-update.md";
const REDRAWN = "\u001b[J";

/** The session, as a block of Markdown. A table that is redrawn is kept as it stood last. */
export async function recordRoll(): Promise<string> {
  const aws = await SimulatedAws.running();
  const store = new MemoryStore();
  const folder = mkdtempSync(join(tmpdir(), "holdfast-record-"));
  const file = join(folder, "orders.json");
  const holdfast = async (...args: string[]): Promise<string> => {
    const written: string[] = [];
    const terminal = {
      isTTY: true,
      write: (text: string) => {
        if (text.includes(REDRAWN)) written.pop();
        written.push(stripVTControlCharacters(text).replace(/ +$/gm, ""));
      },
    } as unknown as NodeJS.WriteStream;
    const process = aws.clock.process();
    let code = 0;
    const command = rollCommand(
      {
        connect: () => ({
          cloud: aws.connect(process),
          store: store.connect(process),
          channel: { run: () => Promise.reject(new Error("the session runs nothing on a node")) },
        }),
        refreshes: () => {
          throw new Error("the session has no worker pool");
        },
        clock: process,
        stdout: terminal,
        stderr: terminal,
        telling: progress,
        probe: aws.guests.probe(process, () => 0),
      },
      (value) => {
        code = value;
      },
    );
    writeFileSync(file, JSON.stringify(aws.deployment()));
    await aws.clock.run(command.parseAsync([...args, "--cluster", file], { from: "user" }));
    const shown = ["holdfast", "roll", args[0], "--cluster", "orders.json", ...args.slice(1)].join(" ");
    return `$ ${shown}\n${written.join("")}$ echo $?\n${code}\n`;
  };
  try {
    aws.release();
    const good = [await holdfast("plan"), await holdfast("run", "--yes")];
    aws.release({ boot: "fails" });
    const bad = [await holdfast("run", "--yes"), await holdfast("rollback", "--yes")];
    const session = [...good, "# A release whose nodes do not come up is applied.", ...bad].join("\n");
    return `\`\`\`console\n${session}\`\`\``;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (require.main === module) {
  const program = new Command("npm run record-roll --")
    .description(`Record the terminal session in ${PAGE} anew, in the simulator`)
    .addHelpText("after", examples("npm run record-roll"))
    .action(async () => {
      const session = await recordRoll();
      writeFileSync(PAGE, placeInPage(readFileSync(PAGE, "utf8"), "session", session));
    });
  void parse(program);
}
