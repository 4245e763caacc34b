import { createSecureContext, type SecureContextOptions } from "node:tls";
import type { Client } from "pg";

/** Modes that all look at the certificate and at its name here; the package says at length that they may not do so one day. */
const VERIFYING = /^(prefer|require|verify-ca|verify-full)$/;

/** Has each mode mean what it says, or more. */
export function settleSslMode({ searchParams }: URL): void {
  const isOurs = !searchParams.has("uselibpqcompat") && VERIFYING.test(searchParams.get("sslmode") ?? "");
  if (isOurs) searchParams.set("sslmode", "verify-full");
}

/**
 * What is wrong with the contents of a URL's files: authorities that are none would count as no authority.
 *
 * @throws Error about a key or a certificate of one's own that is none.
 */
export function filesProblem(ssl: SecureContextOptions): string | undefined {
  createSecureContext(ssl);
  const { ca } = ssl;
  return typeof ca === "string" && !/-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/.test(ca)
    ? "the file of sslrootcert holds no certificate"
    : undefined;
}

/** As `pg` says it. */
const NO_TLS = "The server does not support SSL connections";

/** What a person must mend about TLS before a connection can be made; undefined where something else went wrong. */
export function tlsProblem(client: Client, error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { stream } = (client as unknown as { connection: { stream: { authorizationError?: unknown } } }).connection;
  if (stream.authorizationError) {
    return (
      `its certificate is not accepted: ${error.message}. Name the authority that signed it by sslrootcert=FILE in the URL, ` +
      "and the server by a name that the certificate has"
    );
  }
  if (error.message === NO_TLS) return "it offers none: switch it on there, or say sslmode=disable";
  const { code = "" } = error as NodeJS.ErrnoException;
  return /^(ERR_SSL|ERR_OSSL|EPROTO)/.test(code) ? error.message : undefined;
}
