import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { awsCalls } from "../../scripts/emulator/aws-calls";
import { startEmulatedAws } from "../../scripts/emulator/emulated-aws";
import { type Fleet, openFleet } from "../../scripts/rehearse/fleet/fleet";
import { openLab } from "../../scripts/rehearse/machines/lab";
import { identityOf, lives } from "../../scripts/rehearse/machines/owner";
import { runCommand } from "../../scripts/rehearse/run-command";
import type { Report } from "../../scripts/rehearse/story/report";
import { page } from "../scripts/rehearse/terminal";
import { PATIENCE_MS } from "../support/instance/until";
import { inLongForm } from "../support/long-form";
import { useScratch } from "../support/scratch";

jest.setTimeout(6 * PATIENCE_MS);

const REGION = "eu-west-1";
const NEEDS = {
  token: "secret",
  daemon: { bucket: "acme-releases", region: REGION, keyPrefix: "dbmazz", version: "1.8.0" },
  agent: { bucket: "acme-releases", region: REGION, keyPrefix: "worker-agent" },
  pools: [{ name: "cdc", workers: 2, jobs: 3, drainDeadlineMs: 60_000 }],
} as const;
const scratch = useScratch();

/** As a worker asks, which trusts this certificate alone. */
function ask(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request(url, { ca }, (answer) => resolve(text(answer)))
      .on("error", reject)
      .end();
  });
}

test("what a fleet's workers dial to is there for them, with the jobs to come, and goes with the lab", async () => {
  const [lab, aws] = [await openLab(), await startEmulatedAws()];
  const adopted: string[] = [];
  const adopt = async (pid: number) => {
    adopted.push(await identityOf(pid));
    await lab.adopt(pid);
  };
  let fleet: Fleet | undefined;
  try {
    fleet = await openFleet({ lab: { ...lab, adopt }, url: aws.url, region: REGION, name: "shop", needs: NEEDS });
    const { dials } = fleet;
    expect(JSON.parse(await ask(`${dials.controlPlaneUrl}/readyz`, dials.certificate))).toMatchObject({
      status: "ready",
    });

    const { secrets_manager_arn: SecretId } = dials.token as { readonly secrets_manager_arn: string };
    const { SecretString } = await awsCalls(aws.url)("secretsmanager", REGION, "GetSecretValue", { SecretId });
    expect(SecretString).toEqual(expect.stringMatching(/^\S{20,}$/));
    const authorization = `AWS4-HMAC-SHA256 Credential=worker/20260101/${REGION}/s3/aws4_request, SignedHeaders=host, Signature=0`;
    const daemon = await fetch(`${aws.url}/acme-releases/dbmazz/1.8.0/dbmazz-linux-arm64`, {
      headers: { authorization },
    });
    const sha256 = createHash("sha256")
      .update(Buffer.from(await daemon.arrayBuffer()))
      .digest("hex");
    expect(sha256).toBe(dials.sha256.arm64);

    await fleet.replication.begin();
    const jobs = await fleet.replication.jobs();
    expect(jobs.map(({ name, state, workerId }) => [name, state, workerId])).toEqual([
      ["job-01", "pending", null],
      ["job-02", "pending", null],
      ["job-03", "pending", null],
    ]);
    expect(await Promise.all(adopted.map(lives))).toEqual([true, true]);
  } finally {
    await aws.stop();
    // Its servers are ended by the lab: so it is where a rehearsal was killed.
    await lab.close();
    await fleet?.stop();
  }
  expect(await Promise.all(adopted.map(lives))).toEqual([false, false]);
});

inLongForm(() => {
  test("a fleet's document is rehearsed in containers: jobs move, workers drain, and no row is lost", async () => {
    const [stdout, stderr] = [page(), page()];
    const document = join(__dirname, "../../deployments/ez-cdc-production.yaml");
    const flags = {
      machines: "container",
      event: ["lose any", "spot-notice any", "roll"],
      output: join(scratch.path, "out"),
    } as const;
    const code = await runCommand(document, flags, { stdout: stdout.stream, stderr: stderr.stream, exit: () => {} });

    const report: Report = JSON.parse(readFileSync(join(flags.output, "report.json"), "utf8"));
    const failed = report.chapters.flatMap(({ title, checks }) =>
      checks.filter(({ ok }) => !ok).map((it) => [title, it]),
    );
    expect([failed, code]).toEqual([[], 0]);
    const shown = report.chapters.flatMap(({ title, checks }) => checks.map(({ text: held }) => `${title}: ${held}`));
    expect(shown).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^jobs: every job replicates: streaming\/\d runs job-/),
        expect.stringMatching(/^lose streaming\/\d: its jobs run elsewhere after .*: job-/),
        expect.stringMatching(/^spot-notice streaming\/\d: its jobs run elsewhere after .* before it is taken: job-/),
        expect.stringMatching(/^roll: streaming\/1 drained in .* of 15 min/),
        expect.stringMatching(/^rows: the rows of every sink are its source's: \d+, after \d+ transactions$/),
        expect.stringMatching(/^rows: no two daemons ran one job/),
      ]),
    );
  });
});
