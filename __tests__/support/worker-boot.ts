import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { App, TerraformStack } from "cdktf";
import release from "../../agent/worker/release.json";
import { type WorkerUserDataProps, workerUserData } from "../../modules/user-data/worker-user-data";
import type { FakeAws } from "./fake-aws";
import type { FakeImds } from "./imds";
import { type Instance, startInstance } from "./instance/instance";
import { MINIMAL_WORKER, unpacked } from "./user-data";

const DAEMON_VERSION = "2.4.0";

/** The agent's release and a daemon's, as they lie in the buckets that {@link workerBoot} names. */
export function releaseObjects(daemon: string | Buffer): Record<string, string | Buffer> {
  return {
    [`${MINIMAL_WORKER.agentRelease.bucket}/worker-agent/${release.version}/worker-agent.mjs`]:
      readFileSync("dist/worker-agent.mjs"),
    [`releases/dbmazz/${DAEMON_VERSION}/dbmazz-linux-amd64`]: daemon,
  };
}

/**
 * The user data of a worker with this daemon, before it is compressed. A fleet takes HTTPS alone and the control planes of
 * tests have no certificate: where one is given, its address takes the place of {@link MINIMAL_WORKER}'s afterwards.
 */
export function workerBoot(daemon: string | Buffer, props: WorkerUserDataProps, controlPlaneUrl?: string): string {
  const { base64 } = workerUserData(new TerraformStack(new App(), "stack"), "user-data", {
    ...props,
    daemonRelease: {
      bucket: "releases",
      keyPrefix: "dbmazz/",
      version: DAEMON_VERSION,
      sha256: { x86_64: createHash("sha256").update(daemon).digest("hex") },
    },
  });
  const document = unpacked(base64);
  return controlPlaneUrl ? document.replace(MINIMAL_WORKER.controlPlaneUrl, controlPlaneUrl) : document;
}

/** Boots an instance in service with this user data, in a group that takes its scale-in protection. */
export function startWorkerInstance(
  bench: Parameters<typeof startInstance>[0],
  { imds, aws }: { readonly imds: FakeImds; readonly aws: FakeAws },
  boot: string,
): Promise<Instance> {
  aws.intercept("SetInstanceProtection", () => ({ status: 200, body: "<SetInstanceProtectionResponse/>" }));
  imds.set("user-data", gzipSync(boot));
  imds.set("meta-data/autoscaling/target-lifecycle-state", "InService");
  return startInstance(bench, { metadataPort: imds.port, aws: aws.endpoint });
}
