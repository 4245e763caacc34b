import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { FleetNeeds, ReleaseFolder } from "./fleet-needs";

const DIST = resolve(__dirname, "../../../dist");

/** By architecture, as a document says it. */
export interface Checksums {
  readonly x86_64: string;
  readonly arm64: string;
}

/** Programs in buckets, where a fleet's instances fetch them. */
export interface Releases {
  /** Puts a version of the daemon where the fleet's instances look for it. @returns its checksums, in hexadecimal */
  daemon(version: string): Promise<Checksums>;
}

/** Makes the buckets in the AWS at `url`, and puts the agent of this build into its own. @throws Error with what S3 answered */
export async function openReleases(url: string, { agent, daemon }: Pick<FleetNeeds, "agent" | "daemon">) {
  for (const [bucket, region] of new Map([agent, daemon].map((folder) => [folder.bucket, folder.region]))) {
    await put(url, region, bucket, bucketConfiguration(region));
  }
  const { version } = JSON.parse(readFileSync(resolve(DIST, "../agent/worker/release.json"), "utf8"));
  const program = readFileSync(resolve(DIST, "worker-agent.mjs"));
  await putObject(url, agent, `${version}/worker-agent.mjs`, program);

  const releases: Releases = {
    daemon: async (version) => {
      const program = daemonProgram(version);
      for (const architecture of ["amd64", "arm64"]) {
        await putObject(url, daemon, `${version}/dbmazz-linux-${architecture}`, program);
      }
      const sha256 = createHash("sha256").update(program).digest("hex");
      return { x86_64: sha256, arm64: sha256 };
    },
  };
  return releases;
}

const putObject = (url: string, { bucket, region, keyPrefix }: ReleaseFolder, key: string, content: Buffer) =>
  put(url, region, `${bucket}/${keyPrefix}/${key}`, new Uint8Array(content));

/** An emulated S3 looks at a signature's scope alone. */
async function put(url: string, region: string, path: string, body: string | Uint8Array<ArrayBuffer>): Promise<void> {
  const authorization = `AWS4-HMAC-SHA256 Credential=emulator/20260101/${region}/s3/aws4_request, SignedHeaders=host, Signature=0`;
  const answer = await fetch(`${url}/${path}`, { method: "PUT", headers: { authorization }, body });
  if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html: us-east-1 is where nothing is said. */
const bucketConfiguration = (region: string) =>
  region === "us-east-1"
    ? ""
    : '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
      `<LocationConstraint>${region}</LocationConstraint></CreateBucketConfiguration>`;

/** The reference daemon as one executable file: Node.js takes a module without a file name's suffix from its input alone. */
function daemonProgram(version: string): Buffer {
  const interpreter = `#!/usr/bin/env -S sh -c 'exec node --input-type=module - "$@" <"$0"'\n`;
  const module = readFileSync(resolve(DIST, "daemon.mjs"));
  return Buffer.concat([Buffer.from(interpreter), module, Buffer.from(`\n// ${version}\n`)]);
}
