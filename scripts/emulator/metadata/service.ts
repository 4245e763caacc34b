import { randomBytes } from "node:crypto";
import type { Leaves } from "./leaves";

export interface MetadataRequest {
  readonly method: string;
  /** "/latest/meta-data/instance-id" */
  readonly path: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The address that it came from: this is how the service knows the instance. */
  readonly address: string;
}

export interface MetadataAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export type LeavesAt = (address: string) => Leaves | undefined | Promise<Leaves | undefined>;

export interface MetadataService {
  answer(request: MetadataRequest): Promise<MetadataAnswer>;
  /** Session tokens given out so far are no longer accepted. */
  revokeTokens(): void;
}

const MAX_TOKEN_SECONDS = 21_600;
const TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN_HEADER = "x-aws-ec2-metadata-token";

/** The versions answered, oldest first; what is below them is the same. */
const VERSIONS = ["2009-04-04", "2018-08-17", "2021-03-23", "latest"];

/**
 * EC2's instance metadata service as it is with `HttpTokens=required`: nothing is told without a session token, a token belongs to
 * the instance that asked for it, and a request that a proxy forwarded gets none.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-v2-how-it-works.html
 *
 * @param leavesAt what there is to tell to the instance at an address, asked at every request; undefined where no instance is.
 */
export function metadataService(leavesAt: LeavesAt): MetadataService {
  const tokens = new Map<string, { readonly address: string; readonly until: number }>();

  const issueToken = ({ headers, address }: MetadataRequest): MetadataAnswer => {
    if (headers["x-forwarded-for"] !== undefined) return { status: 403 };
    const seconds = Number(headers[TTL_HEADER]);
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > MAX_TOKEN_SECONDS) return { status: 400 };
    const token = randomBytes(40).toString("base64");
    tokens.set(token, { address, until: Date.now() + seconds * 1_000 });
    return { status: 200, headers: { [TTL_HEADER]: String(seconds) }, body: token };
  };

  const holdsToken = ({ headers, address }: MetadataRequest): boolean => {
    const session = tokens.get(String(headers[TOKEN_HEADER]));
    return session !== undefined && session.address === address && Date.now() < session.until;
  };

  return {
    async answer(request) {
      const leaves = await leavesAt(request.address);
      if (leaves === undefined) return { status: 404 };
      const [version = "", ...names] = request.path.split("/").slice(1);
      const path = names.join("/");
      if (version === "latest" && path === "api/token") {
        return request.method === "PUT" ? issueToken(request) : { status: 405, headers: { allow: "OPTIONS, PUT" } };
      }
      if (request.method !== "GET" && request.method !== "HEAD") return { status: 405 };
      if (!holdsToken(request)) return { status: 401 };
      if (version === "") return { status: 200, body: VERSIONS.join("\n") };
      if (!VERSIONS.includes(version)) return { status: 404 };
      const body = leaves.get(path) ?? listing(leaves, path);
      return body === undefined ? { status: 404 } : { status: 200, body };
    },
    revokeTokens: () => tokens.clear(),
  };
}

/** The names in a folder, one a line, those of folders with a slash at their end. */
function listing(leaves: Leaves, path: string): string | undefined {
  const folder = path === "" || path.endsWith("/") ? path : `${path}/`;
  const names = [...leaves.keys()]
    .filter((leaf) => leaf.startsWith(folder))
    .map((leaf) => leaf.slice(folder.length).replace(/\/.*/, "/"));
  return names.length === 0 ? undefined : [...new Set(names)].sort().join("\n");
}
