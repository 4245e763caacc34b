import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { instanceImage, podman } from "./image";

export interface Instance {
  /** Runs a command inside; its output, also when it fails. */
  exec(...command: string[]): string;
  /** Waits until a condition holds. @throws Error with the boot's logs after `timeoutMs`. */
  until(what: string, holds: () => boolean, timeoutMs: number): Promise<void>;
  isRunning(): boolean;
  remove(): void;
}

export interface InstanceEndpoints {
  readonly metadata: string;
  readonly aws: string;
}

/**
 * A container that stands for an EC2 instance: real systemd, real cloud-init, user data from the metadata service. It shares
 * the machine's network, so that the services of a test are reached on 127.0.0.1.
 */
export function startInstance({ metadata, aws }: InstanceEndpoints): Instance {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-instance-"));
  const cloudInit = join(folder, "cloud-init.cfg");
  const systemd = join(folder, "systemd.conf");
  // ds-identify reads the first line without a YAML parser.
  writeFileSync(
    cloudInit,
    `datasource_list: [ Ec2 ]
datasource: { Ec2: { strict_id: true, timeout: 5, max_wait: 60, metadata_urls: ["${metadata}"] } }
network: { config: disabled }
locale: false
`,
  );
  const environment = `AWS_EC2_METADATA_SERVICE_ENDPOINT=${metadata} AWS_ENDPOINT_URL=${aws}`;
  writeFileSync(systemd, `[Manager]\nDefaultEnvironment=${environment}\n`);

  const name = `holdfast-${randomUUID().slice(0, 8)}`;
  const mounts = {
    [cloudInit]: "/etc/cloud/cloud.cfg.d/90-instance.cfg",
    [systemd]: "/etc/systemd/system.conf.d/endpoints.conf",
    [process.execPath]: "/usr/local/bin/node",
  };
  podman([
    "run",
    "--detach",
    `--name=${name}`,
    "--network=host",
    "--hostname=worker",
    "--systemd=always",
    "--cap-add=SYS_ADMIN",
    ...Object.entries(mounts).map(([from, to]) => `--volume=${from}:${to}:ro`),
    instanceImage(),
  ]);

  const exec = (...command: string[]) => {
    try {
      return podman(["exec", name, ...command]);
    } catch (error) {
      const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
      return stdout + stderr;
    }
  };
  return {
    exec,
    isRunning: () => podman(["inspect", "--format={{.State.Running}}", name]) === "true",
    async until(what, holds, timeoutMs) {
      const deadline = performance.now() + timeoutMs;
      while (!holds()) {
        if (performance.now() > deadline) {
          const log = exec("sh", "-c", "tail -n 40 /var/log/cloud-init-output.log /var/log/holdfast/*");
          throw new Error(`${what}: not within ${timeoutMs / 1000} s\n${log}`);
        }
        await sleep(200);
      }
    },
    remove() {
      podman(["rm", "--force", "--time=0", name]);
      rmSync(folder, { recursive: true });
    },
  };
}
