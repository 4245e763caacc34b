import { PATHS, TOKEN_CREDENTIAL, TOKEN_UNIT, WORKER_UNIT } from "./paths";

/** Longest time from the start of the agent to its registration. */
export const REGISTRATION_TIMEOUT_SECONDS = 240;

/**
 * What neither program needs. MemoryDenyWriteExecute is absent, and memory protection keys are allowed: Node.js compiles to
 * memory as it runs. A call outside the filter fails instead of killing: libuv tries new ones and does without them.
 * https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html
 */
const HARDENING = `NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service @pkey
SystemCallErrorNumber=EPERM
CapabilityBoundingSet=
UMask=0077
`;

/** The agent's units, by path. */
export function unitFiles(node: string): Readonly<Record<string, string>> {
  return {
    // Runs again with every start of the agent: a rotated token is taken up by a restart.
    [`${PATHS.units}/${TOKEN_UNIT}`]: `[Unit]
Description=Holdfast: the deployment's token
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
EnvironmentFile=-${PATHS.environment}
ExecStart=${node} ${PATHS.bundle} token
RuntimeDirectory=holdfast
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
TimeoutStartSec=90
${HARDENING}`,
    [`${PATHS.units}/${WORKER_UNIT}`]: `[Unit]
Description=Holdfast worker agent
Requires=${TOKEN_UNIT}
After=${TOKEN_UNIT}
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
EnvironmentFile=-${PATHS.environment}
LoadCredential=${TOKEN_CREDENTIAL}:${PATHS.token}
ExecStart=${node} ${PATHS.bundle} run
ExecStartPost=+/bin/rm -f ${PATHS.token}
StandardOutput=append:${PATHS.agentLog}
StandardError=append:${PATHS.agentLog}
TimeoutStartSec=${REGISTRATION_TIMEOUT_SECONDS}
TimeoutStopSec=90
WatchdogSec=60
Restart=on-failure
RestartSec=5
OOMScoreAdjust=-500
DynamicUser=yes
${HARDENING}
[Install]
WantedBy=multi-user.target
`,
  };
}

/** The log is open while it is rotated, so it is copied and cut. */
export const LOG_ROTATION = `/var/log/holdfast/*.log {
  size 50M
  rotate 4
  compress
  copytruncate
  missingok
  notifempty
}
`;
