import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { NodeConfiguration } from "../../agent/node/configuration";
import { sh } from "./loop-volume";
import { HOOK } from "./node-cloud";

/** The root disk of an instance, as far as the agent uses it. */
export interface NodeDisk {
  readonly folder: string;
  /** Where the data volume is mounted. */
  readonly data: string;
  readonly environment: Readonly<Record<string, string>>;
  configure(configuration: NodeConfiguration): void;
  remove(): void;
}

export function nodeDisk(): NodeDisk {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-node-"));
  const places = {
    CONFIGURATION_DIRECTORY: join(folder, "etc"),
    STATE_DIRECTORY: join(folder, "state"),
    LOGS_DIRECTORY: join(folder, "log"),
  };
  for (const place of Object.values(places)) mkdirSync(place);
  return {
    folder,
    data: join(folder, "data"),
    environment: places,
    configure: (configuration) =>
      writeFileSync(join(places.CONFIGURATION_DIRECTORY, "node.json"), JSON.stringify(configuration)),
    remove: () => {
      sh(`for path in $(findmnt --noheadings --raw --output TARGET | grep '^${folder}/' || true); do umount "$path"; done
          chattr -f -R -i '${folder}' || true`);
      rmSync(folder, { recursive: true });
    },
  };
}

/** The configuration of node "00" of a cluster, with one data volume. */
export function nodeConfiguration(
  volumeId: string,
  path: string,
  script: string,
  change: Partial<NodeConfiguration> = {},
): NodeConfiguration {
  return {
    cluster: "kafka",
    nodeId: "00",
    nodeIp: "10.0.0.10",
    autoScalingGroupName: "kafka-node-00",
    launchHookName: HOOK,
    launchHookTimeoutSeconds: 3600,
    onFailure: "hold",
    deadlineSeconds: { volumes: 30, configure: 30, health: 30 },
    volumes: { data: { volumeId, deviceName: "/dev/sdf" } },
    data: [{ layout: "filesystem", volume: "data", format: "ext4", path, options: [], user: "root", group: "root" }],
    files: [],
    script: { base64: Buffer.from(script).toString("base64") },
    ...change,
  };
}

export interface AgentRun {
  /** Null if it was killed. */
  readonly status: number | null;
  readonly output: readonly string[];
}

/** Runs the program as it is packed, in a process of its own. */
export function runAgent(
  command: string,
  environment: Readonly<Record<string, string>>,
  { onLine, onStart }: { onLine?: (line: string, kill: () => void) => void; onStart?: (kill: () => void) => void } = {},
): Promise<AgentRun> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(__dirname, "../../dist/node.mjs"), ...command.split(" ")], {
      env: { PATH: process.env["PATH"] ?? "", ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const kill = () => void child.kill("SIGKILL");
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        output.push(line);
        onLine?.(line, kill);
      });
    }
    onStart?.(kill);
    child.on("close", (status) => resolve({ status, output }));
  });
}
