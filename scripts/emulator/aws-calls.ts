import { request } from "node:http";
import { text } from "node:stream/consumers";
import { JSON_1_1, PROTOCOLS, QUERY } from "./protocol";
import type { Tree } from "./tree";

/** Calls an AWS on this machine, which looks at a signature's scope alone. @throws AwsError where it refuses the action. */
export type AwsCalls = (
  service: keyof typeof SERVICES,
  region: string,
  action: string,
  parameters: Tree,
) => Promise<Tree>;

const SERVICES = {
  autoscaling: { version: "2011-01-01", protocol: PROTOCOLS.autoscaling },
  ec2: { version: "2016-11-15", protocol: PROTOCOLS.ec2 },
  iam: { version: "2010-05-08", protocol: QUERY },
  sts: { version: "2011-06-15", protocol: QUERY },
  ssm: { target: "AmazonSSM", protocol: PROTOCOLS.ssm },
  secretsmanager: { target: "secretsmanager", protocol: JSON_1_1 },
} as const;

export function awsCalls(url: string): AwsCalls {
  const { hostname, port } = new URL(url);
  return async (service, region, action, parameters) => {
    const model = SERVICES[service];
    const { protocol } = model;
    const body = protocol.buildRequest(
      "target" in model ? parameters : { Action: action, Version: model.version, ...parameters },
    );
    const { status, answer } = await post({
      hostname,
      port,
      body,
      contentType: "target" in model ? protocol.contentType : "application/x-www-form-urlencoded; charset=utf-8",
      ...("target" in model ? { target: `${model.target}.${action}` } : {}),
      authorization: `AWS4-HMAC-SHA256 Credential=emulator/20260101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=none`,
    });
    if (status !== 200) throw protocol.parseError(status, answer);
    return protocol.parseAnswer(action, answer).result;
  };
}

interface Post {
  readonly hostname: string;
  readonly port: string;
  readonly body: string;
  readonly authorization: string;
  readonly contentType: string;
  /** Names the action, where the body does not. */
  readonly target?: string;
}

function post({
  hostname,
  port,
  body,
  authorization,
  contentType,
  target,
}: Post): Promise<{ status: number; answer: string }> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization,
      "content-type": contentType,
      ...(target === undefined ? {} : { "x-amz-target": target }),
    };
    const outgoing = request({ hostname, port, method: "POST", path: "/", headers }, (incoming) => {
      text(incoming).then((answer) => resolve({ status: incoming.statusCode ?? 500, answer }), reject);
    });
    outgoing.on("error", reject).end(body);
  });
}
