/** Where a worker's files are. */
export const PATHS = {
  bundle: "/opt/holdfast/worker.mjs",
  agents: "/opt/holdfast/agents",
  /** Link to the agent that the boot has installed: the guard, and whatever else root runs, is of this version for good. */
  agent: "/opt/holdfast/worker-agent.mjs",
  /** Has the group replace the instance, without the program. */
  replaceScript: "/opt/holdfast/replace.sh",
  daemons: "/opt/holdfast/daemons",
  /** Link to the daemon that the boot has installed. */
  daemon: "/opt/holdfast/daemon",
  /** The agent's user's: what is known of an upgrade, and below it what was installed by one. Nothing here is run as root. */
  upgrades: "/var/lib/holdfast-worker",
  /** Link to the agent that runs: the boot's until it is upgraded. */
  upgradedAgent: "/var/lib/holdfast-worker/agents/worker-agent.mjs",
  /** Link to the daemon that new jobs get: the boot's until it is upgraded. */
  upgradedDaemon: "/var/lib/holdfast-worker/daemons/daemon",
  /** In memory: one folder per daemon. */
  state: "/run/holdfast-worker",
  /** How far the jobs' output was copied out of the journal. */
  journalCursor: "/run/holdfast-worker/journal-cursor",
  /** The agent's user's: a file per job, for the CloudWatch agent. */
  jobLogs: "/var/log/holdfast-jobs",
  /** In memory, the guard's: its socket, and a daemon's credentials while it is being started. */
  guard: "/run/holdfast-guard",
  guardSocket: "/run/holdfast-guard/socket",
  users: "/etc/sysusers.d/holdfast.conf",
  /** From which the daemons are given the ports of their control API. */
  ports: { from: 21_000, to: 21_999 },
  config: "/etc/holdfast/worker.json",
  environment: "/etc/holdfast/environment",
  units: "/etc/systemd/system",
  /** Exists once the boot has completed the launch hook: before that a failure is the boot's to report. */
  inService: "/var/lib/holdfast/in-service",
  logRotation: "/etc/logrotate.d/holdfast",
  agentLog: "/var/log/holdfast/worker-agent.log",
  bootLog: "/var/log/holdfast/bootstrap.log",
  /** In memory; holds the deployment's token from its fetching until the agent has loaded it. */
  token: "/run/holdfast/deployment-token",
  cloudWatchConfig: "/opt/aws/amazon-cloudwatch-agent/etc/holdfast.json",
  cloudWatchControl: "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl",
} as const;

export const WORKER_UNIT = "holdfast-worker.service";
export const TOKEN_UNIT = "holdfast-token.service";
export const GUARD_UNIT = "holdfast-guard.service";
export const JOBS_SLICE = "holdfast-jobs.slice";
/** Between the agent and the jobs' daemons when the machine stops. */
export const JOBS_TARGET = "holdfast-jobs.target";
export const AGENT_USER = "holdfast-worker";
export const REPLACE_UNIT = "holdfast-replace.service";
export const TRIAL_UNIT = "holdfast-trial.service";
export const TOKEN_CREDENTIAL = "deployment-token";
