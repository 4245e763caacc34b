import { run } from "../host/child";
import { writeFileAtomic } from "../host/files";

export const UNIT = "holdfast-node.service";

/** Exit status of a boot that failed and has been reported: systemd does not restart it, as it does after any other error. */
export const BOOT_FAILED = 64;

const COMMAND = "/usr/local/bin/holdfast-node";
const TIMEOUT_MS = 30_000;

/** Makes the boot a service of this and every later start of the instance, and starts it. */
export async function installUnit(node: string, program: string): Promise<void> {
  await writeFileAtomic(COMMAND, `#!/bin/sh\nexec ${node} ${program} "$@"\n`, 0o755);
  await writeFileAtomic(`/etc/systemd/system/${UNIT}`, unitText(node, program));
  await run("systemctl", ["daemon-reload"], { timeoutMs: TIMEOUT_MS });
  await run("systemctl", ["enable", UNIT], { timeoutMs: TIMEOUT_MS });
  await run("systemctl", ["start", "--no-block", UNIT], { timeoutMs: TIMEOUT_MS });
}

/**
 * KillMode=process: a restart of the agent touches neither a format that is under way nor what the node config script left
 * running.
 */
export function unitText(node: string, program: string): string {
  return `[Unit]
Description=Takes this instance into its cluster
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${node} ${program} run
EnvironmentFile=-/etc/holdfast/environment
ConfigurationDirectory=holdfast
StateDirectory=holdfast
LogsDirectory=holdfast
TimeoutStartSec=infinity
KillMode=process
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=${BOOT_FAILED}

[Install]
WantedBy=multi-user.target
`;
}
