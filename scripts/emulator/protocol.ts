import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { AwsError } from "./aws-error";
import { buildQuery, parseQuery } from "./query";
import { type Tree, textAt, treeAt } from "./tree";
import { buildXml, parseXml } from "./xml";

/** How one service's requests and answers are written. */
export interface Protocol {
  readonly action: (headers: IncomingHttpHeaders, body: string) => string | undefined;
  readonly parseRequest: (body: string) => Tree;
  readonly buildRequest: (parameters: Tree) => string;
  readonly parseAnswer: (action: string, body: string) => Answer;
  readonly buildAnswer: (action: string, result: Tree) => string;
  readonly parseError: (status: number, body: string) => AwsError;
  readonly buildError: (error: AwsError) => string;
  readonly contentType: string;
}

/** The result in an answer, and the answer with another result in its place. */
export interface Answer {
  readonly result: Tree;
  readonly withResult: (result: Tree) => string;
}

/** https://smithy.io/2.0/aws/protocols/aws-query-protocol.html */
export const QUERY: Protocol = {
  action: queryAction,
  parseRequest: parseQuery,
  buildRequest: (parameters) => buildQuery(parameters, "member"),
  parseAnswer: (action, body) => {
    const document = parseXml(body, "member");
    const [response, result] = [`${action}Response`, `${action}Result`];
    const envelope = treeAt(document, response);
    return {
      result: treeAt(envelope, result),
      withResult: (replaced) => buildXml({ ...document, [response]: { ...envelope, [result]: replaced } }, "member"),
    };
  },
  buildAnswer: (action, result) =>
    buildXml(
      {
        [`${action}Response`]: {
          "@xmlns": "http://autoscaling.amazonaws.com/doc/2011-01-01/",
          [`${action}Result`]: result,
          ResponseMetadata: { RequestId: randomUUID() },
        },
      },
      "member",
    ),
  parseError: (status, body) => errorOf(status, treeAt(treeAt(parseXml(body, "member"), "ErrorResponse"), "Error")),
  buildError: ({ code, message, status }) =>
    buildXml(
      {
        ErrorResponse: {
          Error: { Type: status < 500 ? "Sender" : "Receiver", Code: code, Message: message },
          RequestId: randomUUID(),
        },
      },
      "member",
    ),
  contentType: "text/xml",
};

/** https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html */
export const EC2_QUERY: Protocol = {
  action: queryAction,
  parseRequest: parseQuery,
  buildRequest: (parameters) => buildQuery(parameters, undefined),
  parseAnswer: (action, body) => {
    const document = parseXml(body, "item");
    const response = `${action}Response`;
    return {
      result: treeAt(document, response),
      withResult: (replaced) => buildXml({ ...document, [response]: replaced }, "item"),
    };
  },
  buildAnswer: (action, result) =>
    buildXml(
      {
        [`${action}Response`]: {
          "@xmlns": "http://ec2.amazonaws.com/doc/2016-11-15/",
          requestId: randomUUID(),
          ...result,
        },
      },
      "item",
    ),
  parseError: (status, body) =>
    errorOf(status, treeAt(treeAt(treeAt(parseXml(body, "item"), "Response"), "Errors"), "Error")),
  buildError: ({ code, message }) =>
    buildXml({ Response: { Errors: { Error: { Code: code, Message: message } }, RequestID: randomUUID() } }, "item"),
  contentType: "text/xml",
};

/** https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html */
export const JSON_1_1: Protocol = {
  action: ({ "x-amz-target": target }) => String(target ?? "").split(".")[1],
  parseRequest: (body) => JSON.parse(body),
  buildRequest: (parameters) => JSON.stringify(parameters),
  parseAnswer: (_action, body) => ({
    result: body === "" ? {} : JSON.parse(body),
    withResult: (replaced) => JSON.stringify(replaced),
  }),
  buildAnswer: (_action, result) => JSON.stringify(result),
  parseError: (status, body) => {
    const { __type, message } = JSON.parse(body);
    return new AwsError(__type, message ?? "", status);
  },
  buildError: ({ code, message }) => JSON.stringify({ __type: code, message }),
  contentType: "application/x-amz-json-1.1",
};

function errorOf(status: number, error: Tree): AwsError {
  return new AwsError(textAt(error, "Code") ?? "InternalFailure", textAt(error, "Message") ?? "", status);
}

function queryAction(_headers: IncomingHttpHeaders, body: string): string | undefined {
  return new URLSearchParams(body).get("Action") ?? undefined;
}

/** By service, as requests are signed for it. */
export const PROTOCOLS = { autoscaling: QUERY, ec2: EC2_QUERY, logs: JSON_1_1, ssm: JSON_1_1 } as const;
