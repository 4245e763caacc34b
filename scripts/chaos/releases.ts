import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";

const AGENT = resolve("dist/worker-agent.mjs");
const VERSION = /\{version:"([\w.]+)"\}/;

/** What an operator gives to workers, as the control plane takes it. */
export interface Release {
  readonly program: "agent" | "daemon";
  readonly version: string;
  readonly url: string;
  readonly sha256: string;
  readonly signature: string;
}

/** Signs releases and serves them to the workers of this machine. */
export class Releases {
  private readonly files = new Map<string, Buffer>();

  private constructor(
    private readonly server: Server,
    private readonly key: KeyObject,
    /** Holds the public key. */
    readonly keyFile: string,
  ) {}

  static async open(directory: string): Promise<Releases> {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const keyFile = join(directory, "release-key.pem");
    writeFileSync(keyFile, publicKey.export({ type: "spki", format: "pem" }));
    const server = createServer();
    const releases = new Releases(server, privateKey, keyFile);
    server.on("request", ({ url = "" }, answer) => {
      const file = releases.files.get(url);
      answer.writeHead(file ? 200 : 404).end(file);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return releases;
  }

  /** The file, offered as a version of a program: https://datatracker.ietf.org/doc/html/rfc8032 over its checksum. */
  offer(program: Release["program"], version: string, file: Buffer): Release {
    const path = `/${program}/${version}/${this.files.size}`;
    this.files.set(path, file);
    const sha256 = createHash("sha256").update(file).digest("hex");
    const signature = sign(null, Buffer.from(`holdfast-release\n${program}\n${version}\n${sha256}\n`), this.key);
    const { port } = this.server.address() as AddressInfo;
    return {
      program,
      version,
      url: `http://127.0.0.1:${port}${path}`,
      sha256,
      signature: signature.toString("base64"),
    };
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }
}

/** The agent's program as it would be under another version. */
export function agentAs(version: string): Buffer {
  const text = readFileSync(AGENT, "utf8");
  if (text.split(VERSION).length !== 3) throw new Error(`${AGENT} names its version not once`);
  return Buffer.from(text.replace(VERSION, `{version:"${version}"}`));
}

/** Puts a file into a folder of versions, with a link to it; gives the link. */
export function linkVersion(folder: string, version: string, name: string, file: Buffer): string {
  const target = join(folder, version, name);
  mkdirSync(join(folder, version), { recursive: true });
  writeFileSync(target, file, { mode: 0o755 });
  const link = join(folder, name);
  symlinkSync(target, link);
  return link;
}
