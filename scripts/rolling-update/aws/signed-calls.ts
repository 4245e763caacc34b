import { parseXML } from "@aws-sdk/xml-builder";
import { AwsV4Signer } from "aws4fetch";
import { CloudError } from "../cloud";
import { ATTEMPT_TIMEOUT_MS } from "../lock";
import type { CredentialSource } from "./instance-credentials";
import type { SystemsManager } from "./systems-manager";
import { field, type Xml } from "./xml";

/** The services that take form-encoded calls and answer in XML, with the version of their API. */
const VERSIONS = { autoscaling: "2011-01-01", ec2: "2016-11-15", monitoring: "2010-08-01", sts: "2011-06-15" } as const;
export type QueryService = keyof typeof VERSIONS;

/** A parameter of a call; lists are numbered from 1, undefined ones are left out. */
export type Parameter = string | number | boolean | undefined | readonly Parameter[] | Parameters;
export interface Parameters {
  readonly [name: string]: Parameter;
}

export interface SignedCallOptions {
  readonly region: string;
  readonly credentials: CredentialSource;
  /** Of the partition. @default "amazonaws.com" */
  readonly dnsSuffix?: string;
  /** One address for all services. @default those of the region, or AWS_ENDPOINT_URL */
  readonly endpoint?: string;
}

/** AWS without its SDK, for a roller that has to be small: one signed request, one answer, no retry. */
export interface SignedCalls {
  /** The answer's result element. @throws CloudError */
  query(service: QueryService, action: string, parameters?: Parameters): Promise<Xml>;
  readonly systemsManager: SystemsManager;
}

export function signedCalls({ region, credentials, dnsSuffix, endpoint }: SignedCallOptions): SignedCalls {
  const address = (service: string) =>
    endpoint ?? process.env.AWS_ENDPOINT_URL ?? `https://${service}.${region}.${dnsSuffix ?? "amazonaws.com"}`;

  const post = async (service: string, action: string, headers: Record<string, string>, body: string) => {
    const request = { method: "POST", url: address(service), headers, body, service, region };
    const signed = await new AwsV4Signer({ ...request, ...(await credentials()) }).sign();
    const { status, text } = await answerTo(action, signed);
    if (status < 300) return text;
    const refused = refusal(action, status, text);
    if (refused.code.startsWith("ExpiredToken")) credentials.forget();
    throw refused;
  };

  return {
    async query(service, action, parameters = {}) {
      const form = formEncode({ Action: action, Version: VERSIONS[service], ...parameters }, service === "ec2");
      const headers = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" };
      const answer: Xml = parseXML(await post(service, action, headers, form));
      const root = field(answer, `${action}Response`);
      return field(root, `${action}Result`) ?? root;
    },
    systemsManager: {
      async call(name, input) {
        const headers = { "content-type": "application/x-amz-json-1.1", "x-amz-target": `AmazonSSM.${name}` };
        return JSON.parse((await post("ssm", `ssm:${name}`, headers, JSON.stringify(input))) || "{}");
      },
    },
  };
}

/** As long as an attempt of the SDK's clients: a call must end before the lease that allowed it. */
async function answerTo(action: string, { method, url, headers, body }: Awaited<ReturnType<AwsV4Signer["sign"]>>) {
  try {
    const signal = AbortSignal.timeout(ATTEMPT_TIMEOUT_MS);
    const response = await fetch(url, { method, headers, body: body ?? null, redirect: "manual", signal });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    const { name, message, cause } = error as Error & { readonly cause?: { readonly code?: string } };
    const code = cause?.code ?? name;
    throw new CloudError(action, code, `${url.host}: ${message}`, "transient");
  }
}

/** AWS's own code and sentence, from any of the three forms it gives them. */
function refusal(action: string, status: number, text: string): CloudError {
  const json = text.startsWith("{") ? JSON.parse(text) : {};
  const xml = (name: string) => new RegExp(`<${name}>([^<]*)`).exec(text)?.[1];
  const code = xml("Code") ?? json.__type?.split("#").pop() ?? (status >= 500 ? "InternalFailure" : `HTTP ${status}`);
  const message = xml("Message") ?? json.message ?? json.Message ?? `HTTP ${status}`;
  return status >= 500 ? new CloudError(action, code, message, "transient") : new CloudError(action, code, message);
}

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html; all but EC2 put `member` before the numbers. */
function formEncode(parameters: Parameters, isEc2: boolean): string {
  const form = new URLSearchParams();
  const add = (name: string, value: Parameter): void => {
    if (Array.isArray(value)) {
      for (const [index, entry] of value.entries()) add(`${name}${isEc2 ? "" : ".member"}.${index + 1}`, entry);
    } else if (typeof value === "object") {
      for (const [key, entry] of Object.entries(value)) add(`${name}.${key}`, entry);
    } else if (value !== undefined) form.append(name, String(value));
  };
  for (const [name, value] of Object.entries(parameters)) add(name, value);
  return form.toString();
}
