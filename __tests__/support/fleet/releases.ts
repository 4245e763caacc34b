import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { version as agentVersion } from "../../../agent/worker/release.json";

const BUCKET = "releases";
const REGION = "us-west-2";

/** Programs in a bucket, where a fleet's instances fetch them. */
export interface Releases {
  /** What a fleet's document says of a version of the daemon, which is in the bucket afterwards. */
  daemon(version: string): Promise<object>;
}

/** Puts the agent of this build into a bucket of the AWS at `url`. */
export async function openReleases(url: string): Promise<Releases> {
  const put = async (key: string, content?: Buffer) => {
    const authorization = `AWS4-HMAC-SHA256 Credential=emulator/20260101/${REGION}/s3/aws4_request, SignedHeaders=host, Signature=0`;
    const body = content === undefined ? bucketConfiguration : new Uint8Array(content);
    const answer = await fetch(`${url}/${key}`, { method: "PUT", headers: { authorization }, body });
    if (!answer.ok) throw new Error(`${key}: ${await answer.text()}`);
  };
  await put(BUCKET);
  await put(`${BUCKET}/worker-agent/${agentVersion}/worker-agent.mjs`, readFileSync("dist/worker-agent.mjs"));
  return {
    daemon: async (version) => {
      const program = daemonProgram(version);
      const sha256 = createHash("sha256").update(program).digest("hex");
      await put(`${BUCKET}/dbmazz/${version}/dbmazz-linux-amd64`, program);
      return { version, bucket: BUCKET, region: REGION, sha256: { x86_64: sha256 } };
    },
  };
}

const bucketConfiguration =
  '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
  `<LocationConstraint>${REGION}</LocationConstraint></CreateBucketConfiguration>`;

/** The reference daemon as one executable file: Node.js takes a module without a file name's suffix from its input alone. */
function daemonProgram(version: string): Buffer {
  const interpreter = `#!/usr/bin/env -S sh -c 'exec node --input-type=module - "$@" <"$0"'\n`;
  return Buffer.concat([Buffer.from(interpreter), readFileSync("dist/daemon.mjs"), Buffer.from(`\n// ${version}\n`)]);
}
