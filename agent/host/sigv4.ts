import { createHash, createHmac } from "node:crypto";
import type { Credentials } from "./credentials";

export interface SignableRequest {
  readonly method: string;
  /** Its path must be percent-encoded already; it is signed as it stands. */
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Scope {
  /** The signing name, for example "autoscaling". */
  readonly service: string;
  readonly region: string;
  readonly credentials: Credentials;
  readonly time: Date;
}

/**
 * The request's headers with those of Signature Version 4 added; every header given is signed.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function signedHeaders(request: SignableRequest, scope: Scope): Record<string, string> {
  const { method, url, body } = request;
  const { accessKeyId, secretAccessKey, sessionToken } = scope.credentials;
  const timestamp = scope.time.toISOString().replace(/[-:]|\.\d+/g, "");
  const date = timestamp.slice(0, 8);
  const bodyHash = sha256(body);

  const headers: Record<string, string> = { ...request.headers, "x-amz-date": timestamp };
  if (sessionToken) headers["x-amz-security-token"] = sessionToken;
  if (scope.service === "s3") headers["x-amz-content-sha256"] = bodyHash;

  const canonical = Object.entries({ ...headers, host: url.host })
    .map(([name, value]) => [name.toLowerCase(), value.trim().replace(/ +/g, " ")] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const names = canonical.map(([name]) => name).join(";");
  const query = [...url.searchParams]
    .map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`)
    .sort()
    .join("&");
  const canonicalRequest = [
    method,
    url.pathname,
    query,
    ...canonical.map((header) => header.join(":")),
    "",
    names,
    bodyHash,
  ].join("\n");

  const credentialScope = `${date}/${scope.region}/${scope.service}/aws4_request`;
  const stringToSign = ["AWS4-HMAC-SHA256", timestamp, credentialScope, sha256(canonicalRequest)].join("\n");
  const key = [date, scope.region, scope.service, "aws4_request"].reduce<string | Buffer>(
    (secret, part) => hmac(secret, part),
    `AWS4${secretAccessKey}`,
  );
  headers["authorization"] =
    `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${credentialScope}, SignedHeaders=${names}, ` +
    `Signature=${hmac(key, stringToSign).toString("hex")}`;
  return headers;
}

/** RFC 3986: everything but letters, digits and -._~ is encoded. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest();
