import { type Imds, required } from "./imds";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface CredentialSource {
  /** Credentials that are good for some minutes at least. */
  (): Promise<Credentials>;
  /** Forgets what it holds: the service has called it expired. */
  forget(): void;
}

/** New credentials appear at least five minutes before the old ones expire. */
const RENEW_BEFORE_MS = 5 * 60_000;

/**
 * The credentials of the instance's role, renewed before they expire; those of the environment win
 * (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), as in the SDKs.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
 */
export function roleCredentials(imds: Imds, environment: NodeJS.ProcessEnv = process.env): CredentialSource {
  let held: { readonly credentials: Credentials; readonly renewAt: number } | undefined;
  const source = async (): Promise<Credentials> => {
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = environment;
    if (AWS_ACCESS_KEY_ID && AWS_SECRET_ACCESS_KEY) {
      return credentials(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN);
    }
    if (held && Date.now() < held.renewAt) return held.credentials;
    const path = "meta-data/iam/security-credentials/";
    const role = await imds.get(path);
    if (!role) throw new Error("this instance has no role: its launch template needs an instance profile");
    const answer = JSON.parse(await required(imds, path + role.trim()));
    if (answer.Code !== "Success") throw new Error(`no credentials for role ${role.trim()}: ${answer.Code}`);
    held = {
      credentials: credentials(answer.AccessKeyId, answer.SecretAccessKey, answer.Token),
      renewAt: Date.parse(answer.Expiration) - RENEW_BEFORE_MS,
    };
    return held.credentials;
  };
  return Object.assign(source, {
    forget: () => {
      held = undefined;
    },
  });
}

function credentials(accessKeyId: string, secretAccessKey: string, sessionToken?: string): Credentials {
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}
