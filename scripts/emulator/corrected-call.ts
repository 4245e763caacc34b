import type { IncomingHttpHeaders } from "node:http";
import { AwsError } from "./aws-error";
import type { CorrectedService, Correction } from "./correction";
import { PROTOCOLS } from "./protocol";

/** What a request is signed for. */
export interface CredentialScope {
  readonly region: string;
  readonly service: CorrectedService;
}

/** One call of an action, on its way to the emulator behind and back. */
export interface CorrectedCall {
  /** The request's body to send on. */
  readonly request: Buffer;
  /** The body to answer with, in place of that of an answer that says the call has succeeded. */
  readonly answer: (original: Buffer) => Buffer;
}

const SCOPE = /Credential=[^/]+\/\d{8}\/([^/]+)\/([^/]+)\/aws4_request/;

/**
 * The scope in a request's `Authorization` header, where it is that of a service with corrections.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html
 */
export function correctedScope({ authorization = "" }: IncomingHttpHeaders): CredentialScope | undefined {
  const [, region, service] = SCOPE.exec(authorization) ?? [];
  return region !== undefined && isCorrected(service) ? { region, service } : undefined;
}

/** An answer of this server's own. */
export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** The answer to an action that one of `corrections` refuses or replies to, and undefined for the others. */
export async function repliedCall(
  { region, service }: CredentialScope,
  headers: IncomingHttpHeaders,
  body: Buffer,
  corrections: readonly Correction[],
): Promise<Reply | undefined> {
  const { action: actionOf, parseRequest, buildAnswer, buildError, contentType } = PROTOCOLS[service];
  const action = actionOf(headers, body.toString()) ?? "";
  const concerned = corrections.filter((correction) => correction.service === service);
  const refuses = concerned.flatMap((correction) => correction.refuses ?? []);
  const [reply] = concerned.flatMap(({ replies }) => replies?.[action] ?? []);
  if (refuses.length === 0 && reply === undefined) return undefined;
  const request = { region, parameters: parseRequest(body.toString()) };
  try {
    for (const refuse of refuses) {
      const error = refuse(action, request);
      if (error) throw error;
    }
    const result = await reply?.(request);
    return result && { status: 200, contentType, body: buildAnswer(action, result) };
  } catch (error) {
    if (!(error instanceof AwsError)) throw error;
    return { status: error.status, contentType, body: buildError(error) };
  }
}

/** Applies those of `corrections` that name the action of a request. Without one, every byte stays as it is. */
export function correctedCall(
  { region, service }: CredentialScope,
  headers: IncomingHttpHeaders,
  body: Buffer,
  corrections: readonly Correction[],
): CorrectedCall {
  const protocol = PROTOCOLS[service];
  const action = protocol.action(headers, body.toString()) ?? "";
  const concerned = corrections.filter((correction) => correction.service === service);
  const completions = concerned.flatMap(({ requests }) => requests?.[action] ?? []);
  const rewrites = concerned.flatMap(({ answers }) => answers?.[action] ?? []);
  if (completions.length === 0 && rewrites.length === 0) {
    return { request: body, answer: (original) => original };
  }

  const parameters = completions.reduce(
    (said, complete) => complete({ region, parameters: said }),
    protocol.parseRequest(body.toString()),
  );
  return {
    request: completions.length === 0 ? body : Buffer.from(protocol.buildRequest(parameters)),
    answer: (original) => {
      const { result, withResult } = protocol.parseAnswer(action, original.toString());
      const corrected = rewrites.reduce((before, rewrite) => rewrite(before, { region, parameters }), result);
      return corrected === result ? original : Buffer.from(withResult(corrected));
    },
  };
}

function isCorrected(service: string | undefined): service is CorrectedService {
  return service !== undefined && Object.hasOwn(PROTOCOLS, service);
}
