import { signedHeaders } from "../../agent/host/sigv4";
import { type HttpAnswer, type HttpRequest, type RunningServer, startHttpServer } from "./http-server";
import { FAKE_CREDENTIALS } from "./imds";

export interface AwsCall {
  readonly service: string;
  readonly action: string;
  /** Form parameters flat, as sent ("Filter.1.Name"); a JSON body as it is. */
  readonly params: Readonly<Record<string, unknown>>;
  readonly at: number;
}

export interface FakeAws extends RunningServer {
  readonly calls: readonly AwsCall[];
  callsOf(action: string): AwsCall[];
  /** Hooks that hold the instance now; completing another is a ValidationError, as in Auto Scaling. */
  readonly waitingHooks: Set<string>;
  /** What a call is answered with instead of its usual answer. */
  intercept(action: string, answer: (call: AwsCall) => HttpAnswer | "hang" | undefined): void;
}

export interface FakeAwsState {
  /** SecretString by secret ARN. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Value by parameter name. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Content by "bucket/key". */
  readonly objects?: Readonly<Record<string, string | Buffer>>;
  readonly waitingHooks?: readonly string[];
  readonly host?: string;
  readonly port?: number;
}

/** The AWS calls that an instance makes, with every signature verified. */
export async function startAws(state: FakeAwsState = {}): Promise<FakeAws> {
  const calls: AwsCall[] = [];
  const intercepts = new Map<string, (call: AwsCall) => HttpAnswer | "hang" | undefined>();
  const waitingHooks = new Set(state.waitingHooks);

  const hookAction = ({ params }: AwsCall, ends: boolean): HttpAnswer => {
    const hook = String(params["LifecycleHookName"]);
    if (!waitingHooks.has(hook)) {
      const message = `No active Lifecycle Action found with instance ID ${params["InstanceId"]}`;
      return xmlError(400, "ValidationError", message);
    }
    if (ends) waitingHooks.delete(hook);
    return { status: 200, body: `<Response><ResponseMetadata/></Response>` };
  };

  const usualAnswer = (call: AwsCall): HttpAnswer => {
    const { action, params } = call;
    switch (action) {
      case "CompleteLifecycleAction":
      case "RecordLifecycleActionHeartbeat":
        return hookAction(call, action === "CompleteLifecycleAction");
      case "GetSecretValue": {
        const value = state.secrets?.[String(params["SecretId"])];
        return value === undefined ? jsonError("ResourceNotFoundException") : json({ SecretString: value });
      }
      case "GetParameter": {
        const value = state.parameters?.[String(params["Name"])];
        return value === undefined ? jsonError("ParameterNotFound") : json({ Parameter: { Value: value } });
      }
      case "SetInstanceHealth":
        return ["Healthy", "Unhealthy"].includes(String(params["HealthStatus"]))
          ? { status: 200, body: "<SetInstanceHealthResponse/>" }
          : xmlError(400, "ValidationError", "HealthStatus must be Healthy or Unhealthy");
      case "CreateTags":
        return { status: 200, body: "<CreateTagsResponse><return>true</return></CreateTagsResponse>" };
      case "PutMetricData":
        return { status: 200, body: "<PutMetricDataResponse/>" };
      default:
        return xmlError(400, "InvalidAction", action);
    }
  };

  const server = await startHttpServer((request) => {
    const service = /Credential=[^/]+\/\d{8}\/[\w-]+\/(\w+)\/aws4_request/.exec(
      request.headers["authorization"] ?? "",
    )?.[1];
    if (!service || !isSignedRight(request, service)) return xmlError(403, "SignatureDoesNotMatch", "bad signature");
    const call = { service, ...readCall(request), at: Date.now() };
    calls.push(call);
    const special = intercepts.get(call.action)?.(call);
    if (special === "hang") return undefined;
    if (special) return special;
    if (call.action !== "GetObject") return usualAnswer(call);
    const object = state.objects?.[decodeURIComponent(request.url.pathname.slice(1))];
    return object === undefined ? xmlError(404, "NoSuchKey", "no such key") : { status: 200, body: object };
  }, state);

  return {
    ...server,
    calls,
    waitingHooks,
    callsOf: (action) => calls.filter((call) => call.action === action),
    intercept: (action, answer) => void intercepts.set(action, answer),
  };
}

export function xmlError(status: number, code: string, message: string): HttpAnswer {
  return {
    status,
    body: `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
  };
}

const json = (value: unknown): HttpAnswer => ({ status: 200, body: JSON.stringify(value) });
const jsonError = (type: string): HttpAnswer => ({
  status: 400,
  body: JSON.stringify({ __type: type, Message: "not found" }),
});

function readCall({ method, headers, url, body }: HttpRequest): Pick<AwsCall, "action" | "params"> {
  const target = headers["x-amz-target"];
  if (target) return { action: target.split(".")[1] ?? "", params: JSON.parse(body) };
  if (method === "GET") return { action: "GetObject", params: { path: url.pathname } };
  const params = Object.fromEntries(new URLSearchParams(body));
  return { action: params["Action"] ?? "", params };
}

/** Signs the request as it arrived and compares. */
function isSignedRight({ method, url, headers, body }: HttpRequest, service: string): boolean {
  const authorization = headers["authorization"] ?? "";
  const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(";") ?? [];
  const mustBeSigned = Object.keys(headers).filter((name) => name.startsWith("x-amz-") || name === "host");
  if (!mustBeSigned.every((name) => names.includes(name))) return false;
  const stamp = headers["x-amz-date"] ?? "";
  const time = new Date(stamp.replace(/(....)(..)(..)T(..)(..)(..)Z/, "$1-$2-$3T$4:$5:$6Z"));
  const added = ["host", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];
  const given = Object.fromEntries(names.filter((name) => !added.includes(name)).map((n) => [n, headers[n] ?? ""]));
  const region = authorization.split("/")[2] ?? "";
  const scope = { service, region, credentials: FAKE_CREDENTIALS, time };
  return signedHeaders({ method, url, headers: given, body }, scope)["authorization"] === authorization;
}
