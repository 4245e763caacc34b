import type { Command } from "commander";
import { auditCommand } from "./commands/audit";
import { datasourceCommand } from "./commands/datasource";
import { deploymentCommand } from "./commands/deployment";
import { jobCommand } from "./commands/job";
import { keyCommand } from "./commands/key";
import { tokenCommand } from "./commands/token";
import { upgradeCommand } from "./commands/upgrade";
import { workerCommand } from "./commands/worker";
import type { OperatorSurroundings } from "./operator-command";

/** What operators do to a control plane, one group of commands for each kind of thing in it. */
export function operatorCommands(surroundings: OperatorSurroundings): Command[] {
  const groups = [
    deploymentCommand,
    datasourceCommand,
    jobCommand,
    workerCommand,
    upgradeCommand,
    tokenCommand,
    auditCommand,
    keyCommand,
  ];
  return groups.map((group) => group(surroundings));
}
