import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { connectionError, type TlsFiles, tlsOptions } from "./tls-files";

export interface JsonCall {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface JsonAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** One HTTP exchange in JSON; an answer that is not JSON comes as text. */
export type JsonHttp = (call: JsonCall) => Promise<JsonAnswer>;

const LONGEST_ANSWER = 4 * 1024 * 1024;

/**
 * HTTP with the TLS of a cluster's own authority, which fetch cannot be given.
 * Calls throw when there is no whole answer within `timeoutMs`.
 */
export function jsonHttp(timeoutMs: number, files: TlsFiles = {}): JsonHttp {
  const tls = tlsOptions(files);
  return ({ method, url, body, headers = {} }) =>
    new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(timeoutMs);
      const fail = (error: Error) =>
        reject(signal.aborted ? new Error(`no answer within ${timeoutMs} ms`) : connectionError(error));
      const send = url.startsWith("https:") ? tlsRequest : plainRequest;
      const request = send(url, { method, headers, signal, agent: false, ...tls }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part: string) => {
          text += part;
          if (text.length > LONGEST_ANSWER) response.destroy(new Error(`${url} answers without end`));
        });
        response.on("error", fail);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: parsed(text) }));
      });
      request.on("error", fail);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
