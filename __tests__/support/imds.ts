import { randomBytes } from "node:crypto";
import { type HttpAnswer, type HttpRequest, type RunningServer, startHttpServer } from "./http-server";

export const FAKE_ROLE = "holdfast-worker";
export const FAKE_CREDENTIALS = {
  accessKeyId: "ASIAFAKEFAKEFAKEFAKE",
  secretAccessKey: "canary-secret-access-key-8b1f",
  sessionToken: "canary-session-token-4e2d",
};

export interface FakeImds extends RunningServer {
  readonly requests: readonly string[];
  /** Sets a leaf under /latest/, or removes it: then it is a 404. */
  set(path: string, value: string | Buffer | undefined): void;
  /** The next `count` requests are answered with `status`, or not at all. */
  fail(count: number, status: number | "hang"): void;
  /** Session tokens given out so far are no longer accepted. */
  revokeTokens(): void;
}

export interface FakeImdsOptions {
  readonly host?: string;
  readonly port?: number;
  readonly instanceId?: string;
  readonly region?: string;
  readonly architecture?: "x86_64" | "arm64";
}

/** An instance metadata service that requires IMDSv2, as strict as EC2's with HttpTokens=required. */
export async function startImds(options: FakeImdsOptions = {}): Promise<FakeImds> {
  const { instanceId = "i-0a1b2c3d4e5f60718", region = "us-east-1", architecture = "x86_64" } = options;
  const leaves = new Map<string, string | Buffer>([
    ["meta-data/instance-id", instanceId],
    ["meta-data/services/domain", "amazonaws.com"],
    [`meta-data/iam/security-credentials/${FAKE_ROLE}`, JSON.stringify(credentialDocument())],
    [
      "dynamic/instance-identity/document",
      JSON.stringify({
        instanceId,
        region,
        architecture,
        availabilityZone: `${region}a`,
        accountId: "123456789012",
        imageId: "ami-0123456789abcdef0",
        instanceType: "t3.medium",
        privateIp: "10.0.0.10",
      }),
    ],
  ]);
  const tokens = new Map<string, number>();
  const requests: string[] = [];
  let failures = { count: 0, status: 500 as number | "hang" };

  const issueToken = ({ headers }: HttpRequest): HttpAnswer => {
    const seconds = Number(headers["x-aws-ec2-metadata-token-ttl-seconds"]);
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > 21_600) return { status: 400 };
    // Requests that came through a proxy get no token.
    if (headers["x-forwarded-for"]) return { status: 403 };
    const token = randomBytes(32).toString("base64");
    tokens.set(token, Date.now() + seconds * 1_000);
    return { status: 200, headers: { "x-aws-ec2-metadata-token-ttl-seconds": String(seconds) }, body: token };
  };

  const listing = (folder: string): string | undefined => {
    const names = [...leaves.keys()]
      .filter((path) => path.startsWith(folder))
      .map((path) => path.slice(folder.length).replace(/\/.*/, "/"));
    return names.length > 0 ? [...new Set(names)].sort().join("\n") : undefined;
  };

  const handle = (request: HttpRequest): HttpAnswer | undefined => {
    const [, , ...parts] = request.url.pathname.split("/");
    const path = parts.join("/");
    requests.push(`${request.method} ${path}`);
    if (failures.count > 0) {
      failures.count -= 1;
      return failures.status === "hang" ? undefined : { status: failures.status };
    }
    if (path === "api/token") return request.method === "PUT" ? issueToken(request) : { status: 405 };
    const until = tokens.get(request.headers["x-aws-ec2-metadata-token"] ?? "");
    if (until === undefined || until < Date.now()) return { status: 401 };
    const value = leaves.get(path) ?? listing(path === "" || path.endsWith("/") ? path : `${path}/`);
    return value === undefined ? { status: 404 } : { status: 200, body: value };
  };

  const server = await startHttpServer(handle, options);
  return {
    ...server,
    requests,
    set: (path, value) => void (value === undefined ? leaves.delete(path) : leaves.set(path, value)),
    fail: (count, status) => {
      failures = { count, status };
    },
    revokeTokens: () => tokens.clear(),
  };
}

function credentialDocument() {
  return {
    Code: "Success",
    Type: "AWS-HMAC",
    LastUpdated: new Date().toISOString(),
    AccessKeyId: FAKE_CREDENTIALS.accessKeyId,
    SecretAccessKey: FAKE_CREDENTIALS.secretAccessKey,
    Token: FAKE_CREDENTIALS.sessionToken,
    Expiration: new Date(Date.now() + 6 * 3_600_000).toISOString(),
  };
}
