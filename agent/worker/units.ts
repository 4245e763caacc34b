import { PATHS, REPLACE_UNIT, TOKEN_CREDENTIAL, TOKEN_UNIT, WORKER_UNIT } from "./paths";

/**
 * How often the agent may start anew before it counts as one that cannot be kept up. The interval holds as many starts also
 * where each ends with the watchdog, minutes later.
 */
const START_LIMIT = { starts: 5, intervalSeconds: 1_800 };

/** Longest time without a sign that the agent's loops turn, while it starts as well as later. */
export const WATCHDOG_SECONDS = 60;

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
OnFailure=${REPLACE_UNIT}
StartLimitBurst=${START_LIMIT.starts}
StartLimitIntervalSec=${START_LIMIT.intervalSeconds}

[Service]
Type=notify
NotifyAccess=all
EnvironmentFile=-${PATHS.environment}
LoadCredential=${TOKEN_CREDENTIAL}:${PATHS.token}
ExecStart=${node} ${PATHS.agent} run
ExecStartPost=+/bin/rm -f ${PATHS.token}
StandardOutput=append:${PATHS.agentLog}
StandardError=append:${PATHS.agentLog}
TimeoutStartSec=${WATCHDOG_SECONDS}
TimeoutStopSec=90
WatchdogSec=${WATCHDOG_SECONDS}
Restart=on-failure
RestartSec=5
OOMScoreAdjust=-500
LimitCORE=0
KillMode=process
RuntimeDirectory=holdfast-worker
RuntimeDirectoryPreserve=yes
DynamicUser=yes
${HARDENING}
[Install]
WantedBy=multi-user.target
`,
    // Started when no further restart follows: the start limit is reached, or the token could not be fetched.
    [`${PATHS.units}/${REPLACE_UNIT}`]: `[Unit]
Description=Holdfast: has the group replace an instance without an agent
ConditionPathExists=${PATHS.inService}
StartLimitIntervalSec=0

[Service]
EnvironmentFile=-${PATHS.environment}
ExecStart=/bin/sh ${PATHS.replaceScript}
StandardOutput=append:${PATHS.agentLog}
StandardError=journal+console
Restart=on-failure
RestartSec=30
${HARDENING}`,
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
