import type { CredentialSource } from "./credentials";
import { percentEncode, type SignableRequest, signedHeaders } from "./sigv4";
import { type Backoff, retry } from "./waiting";
import { type AwsRecord, parseXml } from "./xml";

/** A parameter of an AWS call; undefined ones are left out. */
export type AwsParameter = string | number | boolean | undefined | readonly AwsParameter[] | AwsParameters;
export interface AwsParameters {
  readonly [name: string]: AwsParameter;
}

interface ServiceModel {
  /** The service in AWS_ENDPOINT_URL_<ID>. */
  readonly id: string;
  /** API version, for the services that take form-encoded calls and answer in XML. */
  readonly version?: string;
  /** Prefix of X-Amz-Target, for the services that speak JSON. */
  readonly target?: string;
  /** Version of AWS's JSON protocol. @default "1.1" */
  readonly json?: "1.0";
}

const SERVICES = {
  autoscaling: { id: "AUTO_SCALING", version: "2011-01-01" },
  ec2: { id: "EC2", version: "2016-11-15" },
  monitoring: { id: "CLOUDWATCH", version: "2010-08-01" },
  secretsmanager: { id: "SECRETS_MANAGER", target: "secretsmanager" },
  sqs: { id: "SQS", target: "AmazonSQS", json: "1.0" },
  ssm: { id: "SSM", target: "AmazonSSM" },
  s3: { id: "S3" },
} as const satisfies Readonly<Record<string, ServiceModel>>;

export type AwsService = Exclude<keyof typeof SERVICES, "s3">;

/** An AWS call that failed for good. */
export class AwsError extends Error {
  override readonly name = "AwsError";
  constructor(
    readonly service: string,
    readonly action: string,
    /** AWS's own code ("AccessDenied", "ValidationError"), or "Unreachable" if no answer came. */
    readonly code: string,
    message: string,
    /** HTTP status, 0 if no answer came. */
    readonly status: number,
    options?: ErrorOptions,
  ) {
    super(`${service} ${action}: ${code}: ${message}`, options);
  }
}

export interface CallOptions {
  /** All attempts together. @default 60000 */
  readonly timeoutMs?: number;
}

export interface Aws {
  readonly region: string;
  /**
   * Makes a call and returns its answer.
   *
   * @param params as in the API reference; lists as arrays, for every protocol.
   * @throws AwsError at once if AWS refuses; after `timeoutMs` if it only throttles, fails (5xx) or is not reached.
   */
  call(service: AwsService, action: string, params?: AwsParameters, options?: CallOptions): Promise<AwsRecord>;
  /** An object in S3, as a stream: `body` of the returned response. The deadline is for the headers only. */
  getObject(object: S3Object, options?: CallOptions): Promise<Response>;
}

export interface S3Object {
  readonly bucket: string;
  readonly key: string;
  /** @default - the current version */
  readonly versionId?: string;
  /** @default - the instance's */
  readonly region?: string;
}

export interface AwsOptions {
  readonly region: string;
  readonly credentials: CredentialSource;
  /** Of the partition. @default "amazonaws.com" */
  readonly dnsSuffix?: string;
  /** Endpoint overrides, as in the SDKs: AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_<ID>, AWS_USE_FIPS_ENDPOINT. */
  readonly environment?: NodeJS.ProcessEnv;
  readonly backoff?: Backoff;
}

/** One attempt; the whole call has its own deadline. */
const ATTEMPT_TIMEOUT_MS = 10_000;

const THROTTLED = new Set([
  "EC2ThrottledException",
  "PriorRequestNotComplete",
  "RequestLimitExceeded",
  "RequestThrottled",
  "RequestThrottledException",
  "RequestTimeout",
  "SlowDown",
  "Throttling",
  "ThrottlingException",
  "TooManyRequestsException",
]);
const EXPIRED = new Set(["ExpiredToken", "ExpiredTokenException", "RequestExpired"]);

/** The one place on the instance that calls AWS. */
export function awsClient(options: AwsOptions): Aws {
  const { region, credentials, dnsSuffix = "amazonaws.com", environment = process.env } = options;
  const backoff = options.backoff ?? { baseMs: 200, capMs: 20_000 };

  const endpoint = (service: keyof typeof SERVICES, inRegion: string, bucket?: string): URL => {
    const override = environment[`AWS_ENDPOINT_URL_${SERVICES[service].id}`] ?? environment["AWS_ENDPOINT_URL"];
    const inPath = bucket && (override || bucket.includes(".")) ? `/${bucket}` : "";
    if (override) return new URL(override.replace(/\/$/, "") + inPath);
    const fips = environment["AWS_USE_FIPS_ENDPOINT"] === "true" ? "-fips" : "";
    const host = `${service}${fips}.${inRegion}.${dnsSuffix}`;
    return new URL(`https://${bucket && !inPath ? `${bucket}.` : ""}${host}${inPath}`);
  };

  const send = async (
    service: keyof typeof SERVICES,
    action: string,
    request: SignableRequest,
    { inRegion = region, timeoutMs = 60_000 },
  ): Promise<Response> => {
    // It takes whole milliseconds only.
    const deadline = AbortSignal.timeout(Math.ceil(timeoutMs));
    const attempt = async () => {
      const headers = signedHeaders(request, {
        service,
        region: inRegion,
        credentials: await credentials(),
        time: new Date(),
      });
      const response = await answer(request, headers, deadline).catch((error) => {
        throw new AwsError(service, action, "Unreachable", request.url.host, 0, { cause: error });
      });
      if (response.ok) return response;
      const error = await refusal(service, action, response);
      if (EXPIRED.has(error.code)) credentials.forget();
      throw error;
    };
    return retry(attempt, { backoff, signal: deadline, retryable: mayPass });
  };

  return {
    region,
    async call(service, action, params = {}, { timeoutMs } = {}) {
      const model: ServiceModel = SERVICES[service];
      const url = endpoint(service, region);
      const request = model.target
        ? {
            method: "POST",
            url,
            headers: {
              "content-type": `application/x-amz-json-${model.json ?? "1.1"}`,
              "x-amz-target": `${model.target}.${action}`,
            },
            body: JSON.stringify(params),
          }
        : {
            method: "POST",
            url,
            headers: { "content-type": "application/x-www-form-urlencoded" },
            body: formEncode({ Action: action, Version: model.version, ...params }, service === "ec2" ? "" : ".member"),
          };
      const response = await send(service, action, request, timeoutMs === undefined ? {} : { timeoutMs });
      const text = await response.text();
      if (model.target) return text ? JSON.parse(text) : {};
      const result = parseXml(text);
      return (result[`${action}Result`] as AwsRecord | "" | undefined) || result;
    },
    getObject({ bucket, key, versionId, region: inRegion = region }, { timeoutMs } = {}) {
      const url = endpoint("s3", inRegion, bucket);
      url.pathname = `${url.pathname.replace(/\/$/, "")}/${key.split("/").map(percentEncode).join("/")}`;
      if (versionId !== undefined) url.searchParams.set("versionId", versionId);
      const request = { method: "GET", url, headers: {}, body: "" };
      return send("s3", `GetObject s3://${bucket}/${key}`, request, {
        inRegion,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      });
    },
  };
}

/** The whole answer to a call, the headers of an object's, within the time of one attempt. */
async function answer(request: SignableRequest, headers: Record<string, string>, deadline: AbortSignal) {
  const abort = new AbortController();
  const stop = () => abort.abort(new Error("no answer in time"));
  const timer = setTimeout(stop, ATTEMPT_TIMEOUT_MS);
  deadline.addEventListener("abort", stop);
  try {
    const { body, method } = request;
    const response = await fetch(request.url, {
      method,
      headers,
      ...(body && { body }),
      redirect: "manual",
      signal: abort.signal,
    });
    return body ? new Response(await response.text(), response) : response;
  } finally {
    clearTimeout(timer);
    deadline.removeEventListener("abort", stop);
  }
}

/** Whether the same call may succeed later: AWS was busy, broken, or not reached; or it will see new credentials. */
function mayPass(error: unknown): boolean {
  return (
    error instanceof AwsError &&
    (error.status === 0 ||
      error.status >= 500 ||
      error.status === 429 ||
      THROTTLED.has(error.code) ||
      EXPIRED.has(error.code))
  );
}

/** The three shapes of an error: XML with <Code>, JSON with __type, or nothing readable. */
async function refusal(service: string, action: string, response: Response): Promise<AwsError> {
  const text = await response.text().catch(() => "");
  const { __type, message, Message } = jsonOrNothing(text);
  const code = /<Code>([^<]+)/.exec(text)?.[1] ?? __type?.split("#").pop() ?? String(response.status);
  const words = /<Message>([^<]+)/.exec(text)?.[1] ?? message ?? Message ?? response.statusText;
  return new AwsError(service, action, code, words, response.status);
}

function jsonOrNothing(text: string): {
  readonly __type?: string;
  readonly message?: string;
  readonly Message?: string;
} {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

/**
 * The form encoding of the query protocols: nested names joined by dots, lists numbered from 1.
 *
 * @param listMark stands between a list's name and the number: ".member" for most services, nothing for EC2.
 */
function formEncode(params: AwsParameters, listMark: string): string {
  const pairs: string[] = [];
  const add = (name: string, value: AwsParameter): void => {
    if (value === undefined) return;
    if (Array.isArray(value)) for (const [i, entry] of value.entries()) add(`${name}${listMark}.${i + 1}`, entry);
    else if (typeof value === "object") for (const [key, entry] of Object.entries(value)) add(`${name}.${key}`, entry);
    else pairs.push(`${percentEncode(name)}=${percentEncode(String(value))}`);
  };
  for (const [name, value] of Object.entries(params)) add(name, value);
  return pairs.join("&");
}
