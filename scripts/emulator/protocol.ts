import type { IncomingHttpHeaders } from "node:http";
import { buildQuery, parseQuery } from "./query";
import { type Tree, treeAt } from "./tree";
import { buildXml, parseXml } from "./xml";

/** How one service's requests and answers are written. */
export interface Protocol {
  readonly action: (headers: IncomingHttpHeaders, body: string) => string | undefined;
  readonly parseRequest: (body: string) => Tree;
  readonly buildRequest: (parameters: Tree) => string;
  readonly parseAnswer: (action: string, body: string) => Answer;
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
};

function queryAction(_headers: IncomingHttpHeaders, body: string): string | undefined {
  return new URLSearchParams(body).get("Action") ?? undefined;
}
