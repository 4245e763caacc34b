import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linkVersion, Releases } from "../../../../scripts/chaos/releases";

/** A program that says its version. */
export const program = (version: string) => Buffer.from(`console.log(${JSON.stringify(version)})\n`);

/** Where version 1.0.0 of the agent is linked, and where releases to upgrade it to are offered. */
export interface LinkedAgent {
  readonly directory: string;
  readonly releases: Releases;
  readonly link: string;
}

/** Gives each test one of its own. */
export function useLinkedAgent(): LinkedAgent {
  const agent = { directory: "", link: "", releases: undefined as unknown as Releases };
  beforeEach(async () => {
    agent.directory = mkdtempSync(join(tmpdir(), "holdfast-upgrade-"));
    agent.releases = await Releases.open(agent.directory);
    agent.link = linkVersion(join(agent.directory, "agents"), "1.0.0", "agent.mjs", program("1.0.0"));
  });
  afterEach(async () => {
    await agent.releases.close();
    rmSync(agent.directory, { recursive: true });
  });
  return agent;
}
