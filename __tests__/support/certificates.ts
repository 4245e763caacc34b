import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** PEM files. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
  /** Key and certificate in one. */
  readonly bundle: string;
}

export interface Authority {
  readonly ca: string;
  /** For servers at these addresses and for clients, which show it too. */
  issue(name: string, addresses?: readonly string[], days?: number): Identity;
}

/** A certificate authority for the test's lifetime, made by openssl; whoever runs a server may read its files. */
export function certificateAuthority(directory: string): Authority {
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o755);
  const file = (name: string) => join(directory, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const [ca, caKey] = [file("ca.pem"), file("ca.key")];
  openssl("req", "-x509", ...newKey, "-keyout", caKey, "-out", ca, "-days", "2", "-subj", "/CN=authority");
  return {
    ca,
    issue: (name, addresses = [], days = 2) => {
      const identity = { certificate: file(`${name}.pem`), key: file(`${name}.key`), bundle: file(`${name}.all`) };
      const [request, extensions] = [file(`${name}.csr`), file(`${name}.cnf`)];
      const names = [`DNS:${name}`, ...addresses.map((address) => `IP:${address}`)].join(",");
      writeFileSync(extensions, `subjectAltName=${names}\nextendedKeyUsage=serverAuth,clientAuth\n`);
      openssl("req", ...newKey, "-keyout", identity.key, "-out", request, "-subj", `/CN=${name}`);
      openssl(
        ...["x509", "-req", "-in", request, "-CA", ca, "-CAkey", caKey, "-CAcreateserial", "-days", `${days}`],
        ...["-extfile", extensions, "-out", identity.certificate],
      );
      chmodSync(identity.key, 0o644);
      writeFileSync(identity.bundle, readFileSync(identity.key, "utf8") + readFileSync(identity.certificate, "utf8"));
      return identity;
    },
  };
}
