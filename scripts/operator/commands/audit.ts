import { Command, InvalidArgumentError } from "commander";
import * as z from "zod";
import { examples } from "../../command-line";
import { listAll } from "../list-all";
import { cells, deploymentAction, type OperatorContext, type OperatorSurroundings } from "../operator-command";
import { OperatorError } from "../operator-error";
import { listed } from "../table";
import { verifyAudit } from "../verify-audit";

const Entry = z.looseObject({ seq: z.int() });

export function auditCommand(surroundings: OperatorSurroundings): Command {
  const group = new Command("audit")
    .description("who did what: the log that is only ever added to")
    .addHelpText("after", examples("holdfast audit list --after 500", "holdfast audit verify --all-deployments"));

  auditAction(
    group
      .command("list")
      .description("list entries, oldest first")
      .addHelpText("after", examples("holdfast audit list --after 500"))
      .option("--after <number>", "begin after this entry (default: with the first)", parseEntry),
    surroundings,
    async ({ api, flags, print }, base) => {
      const from = flags["after"] === undefined ? "" : `${flags["after"]}`;
      const entries = await listAll(api, `${base}/audit`, Entry, ({ seq }) => `${seq}`, from);
      const rows = entries.map((entry) => cells(entry, "seq", "at", "actor", "action", "subject", "detail"));
      const none = from === "" ? "there is no entry" : `there is no entry after ${from}`;
      print(entries, listed(["#", "AT", "ACTOR", "ACTION", "SUBJECT", "DETAIL"], rows, none));
    },
  );

  auditAction(
    group
      .command("verify")
      .description("recompute the log's chain of hashes; fails when an entry does not fit")
      .addHelpText("after", examples("holdfast audit verify --all-deployments")),
    surroundings,
    async ({ api, err, print }, base) => {
      const tamperedAt = await verifyAudit(api, `${base}/audit`, (upTo, newest) =>
        err(`${upTo} of ${newest} entries fit\n`),
      );
      if (tamperedAt !== null) {
        throw new OperatorError("AUDIT_TAMPERED", `entry ${tamperedAt} was changed, removed or put in`, {
          where: base,
          next: `holdfast audit list --after ${Math.max(0, tamperedAt - 2)}, and compare with a backup`,
        });
      }
      print({ tamperedAt }, "every entry fits the one before");
    },
  );
  return group;
}

function auditAction(
  command: Command,
  surroundings: OperatorSurroundings,
  act: (context: OperatorContext, base: string) => Promise<void>,
): Command {
  command.option("--all-deployments", "what concerns all deployments");
  return deploymentAction(command, surroundings, act, ({ flags }) => (flags["allDeployments"] ? "/api/v1" : undefined));
}

function parseEntry(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("write the number of an entry");
  return Number(text);
}
