import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, connect as open, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";

/** Where machines reach what listens on the loopback interface of this host. */
export interface Gate {
  readonly port: number;
  close(): Promise<void>;
}

/** A key and a certificate in PEM, which is its own authority. */
export interface Certificate {
  readonly key: string;
  readonly certificate: string;
}

/** Leads connections to `host` on to a port of the loopback interface; with a certificate, TLS ends here. */
export async function openGate(host: string, to: number, tls?: Certificate): Promise<Gate> {
  const sockets = new Set<Socket>();
  const lead = (near: Socket) => {
    const far = open(to, "127.0.0.1");
    const ends = [near, far];
    for (const end of ends) {
      sockets.add(end);
      end.setNoDelay(true);
      // Either end may go at any time: then the other goes, too.
      end.on("error", () => undefined);
      end.on("close", () => {
        sockets.delete(end);
        for (const other of ends) other.destroy();
      });
    }
    near.pipe(far).pipe(near);
  };
  const server = tls ? createTlsServer({ key: tls.key, cert: tls.certificate }, lead) : createServer(lead);
  server.listen(0, host);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Small: the certificate is part of the user data. */
const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/** @param address what the certificate is for. @throws Error with what openssl printed */
export function certificateOf(address: string): Certificate {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-certificate-"));
  try {
    const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
    const subject = ["-nodes", "-subj", "/CN=control plane", "-days", "2", "-addext", `subjectAltName=IP:${address}`];
    const files = ["-keyout", key, "-out", certificate];
    execFileSync("openssl", ["req", "-x509", ...KEY, ...subject, ...files], { stdio: "pipe" });
    return { key: readFileSync(key, "utf8"), certificate: readFileSync(certificate, "utf8") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
