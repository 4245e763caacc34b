/** Keys that sign a call, under the names aws4fetch knows them by. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface CredentialSource {
  /** Credentials that are good for some minutes at least. */
  (): Promise<Credentials>;
  /** Gets new ones next time: AWS has called those it gave expired. */
  forget(): void;
}

/** Credentials as they are fetched, with the end of their life. */
export interface Lent extends Credentials {
  readonly expiresMs: number;
}

const RENEW_BEFORE_MS = 5 * 60_000;

/** Fetches credentials when there are none, and again before they end. */
export function renewed(fetchThem: () => Promise<Lent>, nowMs: () => number = Date.now): CredentialSource {
  let held: Lent | undefined;
  const source = async (): Promise<Credentials> => {
    if (held === undefined || nowMs() >= held.expiresMs - RENEW_BEFORE_MS) held = await fetchThem();
    const { expiresMs, ...credentials } = held;
    return credentials;
  };
  return Object.assign(source, {
    forget: () => {
      held = undefined;
    },
  });
}

const METADATA = "http://169.254.169.254";
const METADATA_TIMEOUT_MS = 2_000;
const SESSION_SECONDS = 300;

/**
 * One value of the instance's metadata, by IMDSv2.
 * @throws Error naming the path, when the service does not answer or has no such value.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
 */
export async function metadata(path: string): Promise<string> {
  const endpoint = process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT ?? METADATA;
  const ask = async (method: string, what: string, headers: Record<string, string>) => {
    const signal = AbortSignal.timeout(METADATA_TIMEOUT_MS);
    const response = await fetch(new URL(`/latest/${what}`, endpoint), { method, headers, signal });
    if (!response.ok) throw new Error(`the instance metadata service answers ${response.status} to ${what}`);
    return response.text();
  };
  const session = await ask("PUT", "api/token", { "x-aws-ec2-metadata-token-ttl-seconds": String(SESSION_SECONDS) });
  return ask("GET", path, { "x-aws-ec2-metadata-token": session });
}

/** Credentials of the role that the instance carries. */
export function instanceRole(): CredentialSource {
  return renewed(async () => {
    const path = "meta-data/iam/security-credentials/";
    const role = (await metadata(path)).trim();
    const { AccessKeyId, SecretAccessKey, Token, Expiration } = JSON.parse(await metadata(path + role));
    return {
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      sessionToken: Token,
      expiresMs: Date.parse(Expiration),
    };
  });
}
