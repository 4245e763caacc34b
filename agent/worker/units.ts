import {
  AGENT_USER,
  GUARD_UNIT,
  JOBS_SLICE,
  JOBS_TARGET,
  PATHS,
  REPLACE_UNIT,
  TOKEN_CREDENTIAL,
  TOKEN_UNIT,
  TRIAL_UNIT,
  WORKER_UNIT,
} from "./paths";

/**
 * How often the agent may start anew before it counts as one that cannot be kept up. The interval holds as many starts also
 * where each ends with the watchdog, minutes later; and an upgrade that is turned back, which takes two, does not use them up.
 */
const START_LIMIT = { starts: 8, intervalSeconds: 1_800 };

/** Longest time without a sign that the agent's loops turn, while it starts as well as later. */
export const WATCHDOG_SECONDS = 60;

/** How long the agent's stop takes at most, but for a drain, for which it asks for more time. */
export const STOP_SECONDS = 90;

/** What all daemons together may take of the machine's memory; the rest is the agent's and the system's. */
export const JOBS_MEMORY_PERCENT = 85;

/**
 * What none of the programs needs. MemoryDenyWriteExecute is absent, and memory protection keys are allowed: Node.js compiles to
 * memory as it runs. A call outside the filter fails instead of killing: libuv tries new ones and does without them.
 *
 * A core would hold secrets. To a program that takes cores (core_pattern with a pipe, see core(5)) Linux hands them whatever the limit,
 * and systemd-coredump writes the environment of the process into the journal even where it keeps no core; a limit of one byte alone
 * keeps Linux from that, too (do_coredump of fs/coredump.c).
 * https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html
 */
export const HARDENING = `NoNewPrivileges=yes
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
LimitCORE=1
`;

/** Heartbeats leave and leases end in time, whatever journald and others of the system have to do. */
const IN_TIME = "CPUWeight=1000\n";

/** Daemons, which run as users of their own, reach what they were upgraded to. */
const UPGRADES = `StateDirectory=holdfast-worker
StateDirectoryMode=0711
`;

/** Of the rule that keeps daemons from the metadata service: before those of the system, which are from 32766 on. */
const RULE = 1_000;
const JOB_USERS = "61184-65519";

/** A rule that is there is left: a guard that starts anew opens no way to daemons that have outlived the one before. */
const keptFrom = (address: string, ip: string) =>
  `${ip} rule list pref ${RULE} | grep -q ${address} || ` +
  `${ip} rule add pref ${RULE} to ${address} uidrange ${JOB_USERS} prohibit`;

/** The agent's units and user, by path. */
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
Wants=${GUARD_UNIT} ${TRIAL_UNIT} ${JOBS_TARGET}
After=network.target dbus.service ${TOKEN_UNIT} ${GUARD_UNIT} ${JOBS_TARGET}
OnFailure=${REPLACE_UNIT}
StartLimitBurst=${START_LIMIT.starts}
StartLimitIntervalSec=${START_LIMIT.intervalSeconds}

[Service]
Type=notify
NotifyAccess=all
EnvironmentFile=-${PATHS.environment}
LoadCredential=${TOKEN_CREDENTIAL}:${PATHS.token}
ExecStartPre=-${node} ${PATHS.agent} prepare
ExecStart=${node} ${PATHS.upgradedAgent} run
ExecStartPost=+/bin/rm -f ${PATHS.token}
StandardOutput=append:${PATHS.agentLog}
StandardError=append:${PATHS.agentLog}
TimeoutStartSec=${WATCHDOG_SECONDS}
TimeoutStopSec=${STOP_SECONDS}
WatchdogSec=${WATCHDOG_SECONDS}
Restart=on-failure
RestartSec=5
OOMScoreAdjust=-500
${IN_TIME}User=${AGENT_USER}
SupplementaryGroups=systemd-journal
RuntimeDirectory=holdfast-worker
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
LogsDirectory=holdfast-jobs
LogsDirectoryMode=0700
${UPGRADES}${HARDENING}
[Install]
WantedBy=multi-user.target
`,
    // systemd stops units in the reverse of the order in which it starts them: the agent before this, and this before the daemons.
    // An order between those two would have daemons outlive their lease whenever the agent alone is stopped, and takes its time.
    [`${PATHS.units}/${JOBS_TARGET}`]: `[Unit]
Description=Holdfast: the jobs' daemons end after the agent
`,
    // Comes with every start of the agent, and outlives it. Of the boot's version, which no upgrade replaces.
    [`${PATHS.units}/${TRIAL_UNIT}`]: `[Unit]
Description=Holdfast: watches a new version
ConditionPathExists=${PATHS.upgrades}/upgrade.json

[Service]
ExecStart=${node} ${PATHS.agent} watch-upgrade --directory ${PATHS.upgrades}
StandardOutput=append:${PATHS.agentLog}
StandardError=append:${PATHS.agentLog}
KillSignal=SIGKILL
Restart=on-failure
User=${AGENT_USER}
${UPGRADES}${HARDENING}`,
    // It comes back by itself, and nothing may require it: systemd restarts with a unit what requires it. The daemons that are
    // bound to it end instead, since what they were started with is gone.
    //
    // The daemons' users may not reach the metadata service, whose credentials are the instance's: systemd gives them their
    // numbers from a range of their own (systemd.exec(5), DynamicUser=), and the routing refuses the address to that range.
    //
    // While the machine stops, daemons wait for the agent to end, but not beyond the guard, and so the lease.
    [`${PATHS.units}/${GUARD_UNIT}`]: `[Unit]
Description=Holdfast: holds the lease for the jobs' daemons
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
ExecStartPre=+/bin/sh -c '${keptFrom("169.254.169.254", "ip")}'
ExecStartPre=-+/bin/sh -c '${keptFrom("fd00:ec2::254", "ip -6")}'
ExecStart=${node} ${PATHS.agent} guard
ExecStopPost=-/bin/sh -c 'u=$$(systemctl show --value -p BoundBy ${GUARD_UNIT}); [ -z "$$u" ] || systemctl stop --no-block --job-mode=ignore-dependencies $$u'
StandardOutput=append:${PATHS.agentLog}
StandardError=append:${PATHS.agentLog}
Group=${AGENT_USER}
RuntimeDirectory=holdfast-guard
RuntimeDirectoryMode=0750
WatchdogSec=${WATCHDOG_SECONDS}
WatchdogSignal=SIGKILL
Restart=always
RestartSec=100ms
OOMScoreAdjust=-1000
${IN_TIME}${HARDENING}RestrictAddressFamilies=
RestrictAddressFamilies=AF_UNIX
`,
    [`${PATHS.units}/${JOBS_SLICE}`]: `[Unit]
Description=Holdfast: the jobs' daemons

[Slice]
MemoryMax=${JOBS_MEMORY_PERCENT}%
CPUWeight=50
`,
    [PATHS.users]: `u ${AGENT_USER} - "Holdfast worker agent"\n`,
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
