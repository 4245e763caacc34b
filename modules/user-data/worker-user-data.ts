import { Token } from "cdktf";
import type { Construct } from "constructs";
import { builtAgent } from "./agent-build";
import { shellScript } from "./boot-document";
import { UserData } from "./user-data";

/** Where a worker's programs write their logs, for what collects them. */
export const WORKER_LOG_FILES = {
  agent: "/var/log/holdfast/worker-agent.log",
  bootstrap: "/var/log/holdfast/bootstrap.log",
} as const;

/** The one tag that a worker sets on its own instance: why its boot, or later its agent, failed. Its role must allow it. */
export const BOOT_TAG_KEY = "holdfast:boot";

export type WorkerUserDataProps = WorkerSettings & JobSourceReference;

/** Where a worker's jobs come from. */
export type JobSourceReference =
  | {
      /** Base URL of the control plane, https:// unless it is on this machine; may be a token. */
      readonly controlPlaneUrl: string;
      readonly token: TokenReference;
      readonly queue?: never;
    }
  | { readonly queue: QueueReference; readonly controlPlaneUrl?: never; readonly token?: never };

/** A queue whose messages are jobs; values may be tokens. */
export interface QueueReference {
  /** In the region of the instance. */
  readonly arn: string;
  /** How long a message stays invisible to others after its time was extended. */
  readonly visibilitySeconds: number;
}

export interface WorkerSettings {
  /** May be a token. */
  readonly deployment: string;
  /** May be a token. */
  readonly pool: string;
  /** May be a token. */
  readonly autoScalingGroupName: string;
  readonly launchHook: HookReference;
  readonly terminateHook: HookReference;
  readonly drain: DrainSettings;
  /**
   * Whether the group retains an instance whose terminate hook is abandoned, so that one whose drain failed can be looked at; may be a
   * token.
   * @default false
   */
  readonly retainOnFailedDrain?: boolean;
  /**
   * A job that runs for longer is given back, to start anew; may be a token.
   * @default - as long as it takes
   */
  readonly maxJobAgeSeconds?: number;
  /** Where this version's `worker-agent.mjs` was put; the boot fetches it by the version and checksum of this build. */
  readonly agentRelease: ReleaseFolder;
  /**
   * The daemon that runs the jobs.
   * @default - none: the machine image carries it, or the pool needs none
   */
  readonly daemonRelease?: DaemonRelease;
  /**
   * What the control plane may upgrade workers to, once they run.
   * @default - nothing: workers refuse upgrades
   */
  readonly upgrade?: UpgradeSettings;
  /** Jobs that one worker runs at a time; may be a token. */
  readonly slots: number;
  /**
   * By which jobs choose workers; values, or the whole, may be tokens.
   * @default - none
   */
  readonly labels?: Readonly<Record<string, string>>;
  /** CloudWatch namespace of the agent's metrics; may be a token. */
  readonly metricsNamespace: string;
  /**
   * Configuration of amazon-cloudwatch-agent, as data; then it is installed and started.
   * @default - no CloudWatch agent
   */
  readonly cloudWatchAgent?: object;
  /**
   * Proxy for everything but AWS's link-local services. Needs Node.js 22.21 or later, or 24, on the instance.
   * @default - none
   */
  readonly proxy?: ProxySettings;
  /**
   * Certificates, in PEM, that the instance trusts besides the public ones; may be a token.
   * @default - none
   */
  readonly caCertificates?: string;
  /**
   * Shell scripts, run as root at a fixed point of the boot; their failure fails the boot. May be tokens.
   * @default - none
   */
  readonly hooks?: BootHooks;
}

/**
 * Where the deployment's token is kept; the agent reads it with the instance's role. One of the two, or two tokens of which
 * Terraform leaves one null or empty.
 */
export type TokenReference =
  | { readonly secretArn: string; readonly parameterName?: never }
  | { readonly parameterName: string; readonly secretArn?: never }
  | { readonly secretArn: string; readonly parameterName: string };

export interface HookReference {
  readonly name: string;
  /** The hook's HeartbeatTimeout. */
  readonly heartbeatTimeoutSeconds: number;
}

export interface DrainSettings {
  /** `handoff`: jobs stop where they are and go on elsewhere. `finish`: jobs may end by themselves until the deadline. */
  readonly mode: "handoff" | "finish";
  readonly deadlineSeconds: number;
}

/** A folder in S3 with one folder per version. */
export interface ReleaseFolder {
  readonly bucket: string;
  /** @default - the instance's region */
  readonly region?: string;
  /** With its closing slash: "dbmazz/". */
  readonly keyPrefix: string;
}

/** A daemon in S3 as `<keyPrefix><version>/dbmazz-linux-<amd64|arm64>`. */
export interface DaemonRelease extends ReleaseFolder {
  /** A version, never "latest". */
  readonly version: string;
  /** Hexadecimal SHA-256 of the binary, per architecture that the pool has. */
  readonly sha256: { readonly x86_64?: string; readonly arm64?: string };
}

/** Releases of agent and daemon that workers install while they run; values, or the whole, may be tokens. */
export interface UpgradeSettings {
  /** Ed25519 public key, in PEM, that signs them. */
  readonly releaseKey: string;
  /** How long a new version is on trial. */
  readonly gateSeconds: number;
}

export interface ProxySettings {
  /** "http://proxy.internal:3128" */
  readonly url: string;
  /**
   * Hosts that are reached directly, besides the instance's own services.
   * @default - none
   */
  readonly exceptions?: readonly string[];
}

export interface BootHooks {
  /** Before anything is installed. */
  readonly beforeInstall?: string;
  /** After everything is installed, before the agent starts. */
  readonly afterInstall?: string;
}

/** The instance metadata, time and DNS services, and the machine itself: never through a proxy. */
const NEVER_PROXIED = ["169.254.169.254", "169.254.169.123", "169.254.169.253", "localhost", "127.0.0.1"];
const CA_PATH = "/etc/holdfast/ca.pem";

/**
 * User data of a pool's workers: the bootstrap and the worker agent with this configuration.
 *
 * @throws Error naming the pool and the field, if a value cannot work; see also {@link UserData}.
 */
export function workerUserData(scope: Construct, id: string, props: WorkerUserDataProps): UserData {
  const { proxy, caCertificates, launchHook, terminateHook, ...settings } = props;
  const owner = `pool ${props.pool}`;
  checkSettings(owner, props);
  return new UserData(scope, id, {
    owner,
    program: "worker",
    config: {
      ...settings,
      agentRelease: { ...settings.agentRelease, ...builtAgent() },
      // Flat, because the boot script reads the name without a JSON parser.
      launchHookName: launchHook.name,
      launchHookTimeoutSeconds: launchHook.heartbeatTimeoutSeconds,
      terminateHookName: terminateHook.name,
      terminateHookTimeoutSeconds: terminateHook.heartbeatTimeoutSeconds,
    },
    environment: {
      ...(proxy ? proxyEnvironment(proxy) : {}),
      ...(caCertificates === undefined ? {} : { NODE_EXTRA_CA_CERTS: CA_PATH }),
    },
    files: [
      { path: "/opt/holdfast/replace.sh", content: shellScript("replace.sh") },
      ...(caCertificates === undefined ? [] : [{ path: CA_PATH, content: caCertificates }]),
    ],
  });
}

function proxyEnvironment({ url, exceptions = [] }: ProxySettings): Record<string, string> {
  const direct = [...NEVER_PROXIED, ...exceptions].join(",");
  return {
    NODE_USE_ENV_PROXY: "1",
    HTTP_PROXY: url,
    HTTPS_PROXY: url,
    NO_PROXY: direct,
    http_proxy: url,
    https_proxy: url,
    no_proxy: direct,
  };
}

function checkSettings(owner: string, props: WorkerUserDataProps): void {
  const refuse = (field: string, value: unknown, fix: string) => {
    throw new Error(`${owner}: ${field} (${value}) ${fix}`);
  };
  const { controlPlaneUrl, slots, agentRelease, daemonRelease, proxy } = props;
  if (
    controlPlaneUrl !== undefined &&
    !Token.isUnresolved(controlPlaneUrl) &&
    !/^https:\/\/|^http:\/\/(localhost|127\.0\.0\.1)\b/.test(controlPlaneUrl)
  ) {
    refuse("controlPlaneUrl", controlPlaneUrl, "must start with https://: the deployment's token is sent to it");
  }
  if (!Token.isUnresolved(slots) && !(Number.isInteger(slots) && slots >= 1 && slots <= 200)) {
    refuse("slots", slots, "must be a whole number from 1 to 200");
  }
  for (const [field, release] of Object.entries({ agentRelease, daemonRelease })) {
    if (release && !Token.isUnresolved(release.keyPrefix) && !/^$|\/$/.test(release.keyPrefix)) {
      refuse(`${field}.keyPrefix`, release.keyPrefix, "must end with /");
    }
  }
  if (daemonRelease) {
    const { version, sha256 } = daemonRelease;
    if (version === "latest")
      refuse("daemonRelease.version", version, "must be a version: latest changes under the checksum");
    for (const [architecture, sum] of Object.entries(sha256)) {
      if (!Token.isUnresolved(sum) && !/^[0-9a-f]{64}$/.test(sum)) {
        refuse(`daemonRelease.sha256.${architecture}`, sum, "must be 64 hexadecimal digits in lower case");
      }
    }
    if (!Token.isUnresolved(sha256) && Object.keys(sha256).length === 0) {
      refuse("daemonRelease.sha256", "none", "must name the checksum of at least one architecture");
    }
  }
  if (proxy && !Token.isUnresolved(proxy.url) && /\/\/[^/]*@/.test(proxy.url)) {
    refuse("proxy.url", "with a user", "must not hold a password: user data is no place for one");
  }
}
