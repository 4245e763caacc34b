import { retry } from "./waiting";

/** The instance metadata service, spoken to with session tokens only (IMDSv2). */
export interface Imds {
  /** The value under /latest/, for example "meta-data/instance-id"; undefined where the service answers 404. */
  get(path: string): Promise<string | undefined>;
}

export interface ImdsOptions {
  /** @default - AWS_EC2_METADATA_SERVICE_ENDPOINT, else http://169.254.169.254 */
  readonly endpoint?: string;
  /** One request; retries come on top. @default 1000 */
  readonly timeoutMs?: number;
  /** How long a read is retried while the service does not answer or answers 5xx. @default 20000 */
  readonly patienceMs?: number;
}

const TOKEN_SECONDS = 21_600;
const BACKOFF = { baseMs: 100, capMs: 2_000 };

/** An answer that another attempt would only repeat. */
class Refused extends Error {}

/**
 * A client of the instance metadata service. The session token is fetched when first needed and again before it expires,
 * or when the service no longer accepts it.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-v2-how-it-works.html
 */
export function imdsClient(options: ImdsOptions = {}): Imds {
  const endpoint = options.endpoint ?? process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] ?? "http://169.254.169.254";
  const { timeoutMs = 1_000, patienceMs = 20_000 } = options;
  let token: { readonly value: string; readonly until: number } | undefined;

  const request = async (method: string, path: string, headers: Record<string, string>) => {
    const response = await fetch(new URL(`/latest/${path}`, endpoint), {
      method,
      headers,
      signal: AbortSignal.timeout(timeoutMs),
    });
    return { status: response.status, text: await response.text() };
  };

  const session = async (): Promise<string> => {
    if (token && performance.now() < token.until) return token.value;
    const { status, text } = await request("PUT", "api/token", {
      "x-aws-ec2-metadata-token-ttl-seconds": String(TOKEN_SECONDS),
    });
    if (status === 403) throw new Refused("instance metadata is turned off for this instance (PUT api/token: 403)");
    if (status !== 200) throw new Error(`PUT api/token: ${status}`);
    token = { value: text, until: performance.now() + (TOKEN_SECONDS - 60) * 1_000 };
    return text;
  };

  const read = async (path: string): Promise<string | undefined> => {
    const { status, text } = await request("GET", path, { "x-aws-ec2-metadata-token": await session() });
    if (status === 200) return text;
    if (status === 404) return undefined;
    if (status === 401) token = undefined;
    else if (status < 500 && status !== 429) throw new Refused(`GET ${path}: ${status}`);
    throw new Error(`GET ${path}: ${status}`);
  };

  return {
    async get(path) {
      const backoff = BACKOFF;
      const signal = AbortSignal.timeout(patienceMs);
      try {
        return await retry(() => read(path), { backoff, signal, retryable: (error) => !(error instanceof Refused) });
      } catch (error) {
        throw new Error(`instance metadata service at ${endpoint}`, { cause: error });
      }
    },
  };
}

export interface InstanceIdentity {
  readonly instanceId: string;
  readonly instanceType: string;
  readonly region: string;
  readonly availabilityZone: string;
  readonly accountId: string;
  readonly imageId: string;
  readonly privateIp: string;
  readonly architecture: "x86_64" | "arm64";
}

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-identity-documents.html */
export async function instanceIdentity(imds: Imds): Promise<InstanceIdentity> {
  return JSON.parse(await required(imds, "dynamic/instance-identity/document"));
}

/** The DNS suffix of this instance's partition, "amazonaws.com" in most regions. */
export async function dnsSuffix(imds: Imds): Promise<string> {
  return (await imds.get("meta-data/services/domain")) ?? "amazonaws.com";
}

/**
 * The state that Auto Scaling is taking this instance to: "InService", "Terminated", "Detached", "Standby", "Warmed:Stopped", …;
 * undefined before the first transition, and for an instance of no group.
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html
 */
export function targetLifecycleState(imds: Imds): Promise<string | undefined> {
  return imds.get("meta-data/autoscaling/target-lifecycle-state");
}

/**
 * The notice that EC2 is about to interrupt this spot instance, about two minutes ahead; undefined without one.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
 */
export async function spotInterruption(
  imds: Imds,
): Promise<{ readonly action: "hibernate" | "stop" | "terminate"; readonly time: string } | undefined> {
  return parsed(await imds.get("meta-data/spot/instance-action"));
}

/**
 * The signal that this spot instance is at an elevated risk of interruption; undefined without one.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html
 */
export async function rebalanceRecommendation(imds: Imds): Promise<{ readonly noticeTime: string } | undefined> {
  return parsed(await imds.get("meta-data/events/recommendations/rebalance"));
}

/** Something that EC2 has announced to do to this instance. */
export interface ScheduledEvent {
  /** "instance-retirement", "instance-stop", "instance-reboot", "system-reboot" or "system-maintenance". */
  readonly Code: string;
  /** For example "21 Jan 2019 09:00:43 GMT". */
  readonly NotBefore: string;
  readonly State: string;
}

/**
 * The events that are announced and not over.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_scheduled_events.html
 */
export async function scheduledEvents(imds: Imds): Promise<readonly ScheduledEvent[]> {
  const events: readonly ScheduledEvent[] = parsed(await imds.get("meta-data/events/maintenance/scheduled")) ?? [];
  return events.filter(({ State }) => State === "active");
}

export async function required(imds: Imds, path: string): Promise<string> {
  const value = await imds.get(path);
  if (value === undefined) throw new Error(`instance metadata has no ${path}`);
  return value;
}

function parsed<T>(text: string | undefined): T | undefined {
  return text === undefined ? undefined : JSON.parse(text);
}
