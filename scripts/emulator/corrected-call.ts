import type { IncomingHttpHeaders } from "node:http";
import type { CorrectedService, Correction } from "./correction";
import { EC2_QUERY, JSON_1_1, type Protocol, QUERY } from "./protocol";

const PROTOCOLS: Readonly<Record<CorrectedService, Protocol>> = {
  autoscaling: QUERY,
  ec2: EC2_QUERY,
  logs: JSON_1_1,
};

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
  const rewrites = concerned.flatMap(({ answers }) => answers[action] ?? []);
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
