import type { Command } from "commander";
import { auditCommand } from "./commands/audit";
import { datasourceCommand } from "./commands/datasource";
import { deploymentCommand } from "./commands/deployment";
import { jobCommand } from "./commands/job";
import { tokenCommand } from "./commands/token";
import { workerCommand } from "./commands/worker";
import type { OperatorSurroundings } from "./operator-command";

/** What operators do to a control plane, one group of commands for each kind of thing in it. */
export function operatorCommands(surroundings: OperatorSurroundings): Command[] {
  return [deploymentCommand, datasourceCommand, jobCommand, workerCommand, tokenCommand, auditCommand].map((group) =>
    group(surroundings),
  );
}
