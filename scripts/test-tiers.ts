import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** A group of tests that needs more than Node.js. */
export interface TestTier {
  /** Middle part of the file name: `<subject>.<name>.test.ts`. */
  readonly name: string;
  /** What the tier shows, for the line printed when it is skipped. */
  readonly proves: string;
  /** Commands that must be on PATH. */
  readonly commands: readonly string[];
}

export const TEST_TIERS: readonly TestTier[] = [
  {
    name: "terraform",
    proves: "real terraform and AWS provider against an emulated AWS",
    commands: ["terraform", "moto_server", "aws"],
  },
  {
    name: "podman",
    proves: "user data under real systemd and cloud-init",
    commands: ["podman", "runc", "mmdebstrap"],
  },
  { name: "postgres", proves: "a real PostgreSQL server", commands: ["initdb", "postgres"] },
];

/** The tier's commands that are not on PATH. */
export function missingCommands(tier: TestTier): string[] {
  return tier.commands.filter((command) => !onPath(command));
}

function onPath(command: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
