/** What the fleet wrote into this instance's user data. */
export interface WorkerConfig {
  readonly deployment: string;
  readonly pool: string;
  /** Where jobs come from, and where the token for it is kept. */
  readonly controlPlaneUrl?: string | null;
  readonly token?: TokenReference | null;
  /** In the control plane's place: a queue of the instance's region. */
  readonly queue?: { readonly arn?: string | null; readonly visibilitySeconds: number } | null;
  readonly autoScalingGroupName: string;
  readonly launchHookName: string;
  readonly launchHookTimeoutSeconds: number;
  readonly terminateHookName: string;
  readonly terminateHookTimeoutSeconds: number;
  readonly slots: number;
  readonly drain: { readonly mode: "handoff" | "finish"; readonly deadlineSeconds: number };
  /** Whether the group keeps an instance whose terminate hook is abandoned, for people to look at. */
  readonly retainOnFailedDrain?: boolean | null;
  /** A job that runs for longer is let go, to run elsewhere. */
  readonly maxJobAgeSeconds?: number | null;
  readonly metricsNamespace: string;
  readonly labels?: Readonly<Record<string, string>> | null;
  readonly agentRelease: AgentRelease;
  readonly daemonRelease?: DaemonRelease | null;
  /** Other versions that the control plane may ask for. Ed25519 public key, PEM. */
  readonly upgrade?: { readonly releaseKey?: string | null; readonly gateSeconds?: number | null } | null;
  readonly cloudWatchAgent?: object | null;
  readonly hooks?: { readonly beforeInstall?: string | null; readonly afterInstall?: string | null } | null;
}

/** Where the deployment's token is kept: Secrets Manager or Parameter Store. */
export interface TokenReference {
  readonly secretArn?: string | null;
  readonly parameterName?: string | null;
}

/** A folder of S3 that holds one folder per version. */
export interface Release {
  readonly bucket: string;
  readonly region?: string | null;
  readonly keyPrefix: string;
  readonly version: string;
}

/** The agent, the same file for every architecture. */
export interface AgentRelease extends Release {
  readonly sha256: string;
}

export interface DaemonRelease extends Release {
  readonly sha256: { readonly x86_64?: string | null; readonly arm64?: string | null };
}

const STRINGS = [
  "deployment",
  "pool",
  "autoScalingGroupName",
  "launchHookName",
  "terminateHookName",
  "metricsNamespace",
];
const NUMBERS = ["launchHookTimeoutSeconds", "terminateHookTimeoutSeconds", "slots"];

/** @throws Error naming the first setting without which the instance cannot work. */
export function parseWorkerConfig(text: string): WorkerConfig {
  const config = JSON.parse(text);
  const need = (key: string, holds: boolean, what: string) => {
    if (!holds) throw new Error(`worker.json: ${key} must be ${what}`);
  };
  for (const key of STRINGS) need(key, typeof config[key] === "string" && config[key] !== "", "a text");
  for (const key of NUMBERS) need(key, config[key] > 0, "a positive number");
  need("agentRelease", Boolean(config.agentRelease?.sha256), "a release with its sha256");
  if (!config.queue?.arn) {
    need("controlPlaneUrl", Boolean(config.controlPlaneUrl), "a text");
    need("token", Boolean(config.token?.secretArn || config.token?.parameterName), "a secretArn or a parameterName");
  }
  return config;
}
