import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import * as z from "zod/mini";

/** Files of the machine the roller runs on, PEM; what is in them goes nowhere but into the handshake. */
export const tlsFilesSchema = z
  .strictObject({
    /** Certificates the server's is checked against. @default those of the system */
    ca: z.optional(z.string()),
    /** Certificate and key the roller shows. */
    certificate: z.optional(z.string()),
    key: z.optional(z.string()),
    /** Name the server's certificate is for. @default the address that is asked */
    serverName: z.optional(z.string()),
  })
  .check(
    z.refine(
      ({ certificate, key }) => (certificate === undefined) === (key === undefined),
      "give certificate and key, or neither",
    ),
  );
export type TlsFiles = z.infer<typeof tlsFilesSchema>;

/** @throws Error naming the file that cannot be read. */
export function tlsOptions({ ca, certificate, key, serverName }: TlsFiles): ConnectionOptions {
  return {
    // Whatever the environment says of certificates that are not checked.
    rejectUnauthorized: true,
    ...(ca === undefined ? {} : { ca: readFileSync(ca) }),
    ...(certificate === undefined ? {} : { cert: readFileSync(certificate) }),
    ...(key === undefined ? {} : { key: readFileSync(key) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/** OpenSSL's errors carry the place in its own sources; what is wrong is their reason. */
export function connectionError(error: Error): Error {
  const { reason } = error as { reason?: unknown };
  return typeof reason === "string" ? new Error(reason, { cause: error }) : error;
}
