import { instanceLeaves } from "../../scripts/emulator/metadata/leaves";
import { metadataService } from "../../scripts/emulator/metadata/service";
import { type RunningServer, startHttpServer } from "./http-server";

const FAKE_ROLE = "holdfast-worker";
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
  /** @default "10.0.0.10" */
  readonly privateIp?: string;
}

/** The metadata service of one instance, which is whoever asks. */
export async function startImds(options: FakeImdsOptions = {}): Promise<FakeImds> {
  const { region = "us-east-1" } = options;
  const leaves = new Map(
    instanceLeaves({
      instanceId: options.instanceId ?? "i-0a1b2c3d4e5f60718",
      imageId: "ami-0123456789abcdef0",
      instanceType: "t3.medium",
      architecture: options.architecture ?? "x86_64",
      accountId: "123456789012",
      region,
      availabilityZone: `${region}a`,
      privateIp: options.privateIp ?? "10.0.0.10",
      macAddress: "02:00:00:00:00:0a",
      hostname: "ip-10-0-0-10.ec2.internal",
      credentials: { role: FAKE_ROLE, ...FAKE_CREDENTIALS, expiration: new Date(Date.now() + 6 * 3_600_000) },
    }),
  );
  const service = metadataService(() => leaves);
  const requests: string[] = [];
  let failures = { count: 0, status: 500 as number | "hang" };

  const server = await startHttpServer(({ method, url: { pathname }, headers }) => {
    requests.push(`${method} ${pathname.replace(/^\/[^/]*\//, "")}`);
    if (failures.count > 0) {
      failures.count -= 1;
      return failures.status === "hang" ? undefined : { status: failures.status };
    }
    return service.answer({ method, path: pathname, headers, address: "127.0.0.1" });
  }, options);
  return {
    ...server,
    requests,
    set: (path, value) => void (value === undefined ? leaves.delete(path) : leaves.set(path, value)),
    fail: (count, status) => {
      failures = { count, status };
    },
    revokeTokens: service.revokeTokens,
  };
}
