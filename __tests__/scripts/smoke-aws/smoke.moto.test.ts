import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instantMachines } from "../../../scripts/emulator/instant-machines";
import { sdkCloud } from "../../../scripts/rolling-update/aws/sdk-cloud";
import type { Manifest } from "../../../scripts/rolling-update/manifest";
import type { SmokeReport } from "../../../scripts/smoke-aws/smoke";
import { deployNodes } from "../../support/emulated-nodes";
import { useEmulatedAws } from "../../support/emulator";
import { eventually } from "../../support/eventually";
import { useTestCredentials } from "../../support/test-credentials";

const ROOT = join(__dirname, "../../..");
const REGION = "eu-west-1";
const volumeOf = new Map<string, string>();
const aws = useEmulatedAws({
  machines: (it) => instantMachines(it, { volumesOf: ({ privateIp }) => [volumeOf.get(privateIp) ?? ""] }),
});
const scratch = mkdtempSync(join(tmpdir(), "holdfast-smoke-"));
const file = join(scratch, "orders.json");
let manifest: Manifest;
const options = () => ({ region: REGION, endpoint: aws.emulator().url });

useTestCredentials();
beforeAll(async () => {
  manifest = await deployNodes({
    ...options(),
    ids: ["00", "01"],
    version: 2,
    onNode: ({ ip, volumeIds }) => volumeOf.set(ip, volumeIds[0] ?? ""),
  });
  writeFileSync(file, JSON.stringify(manifest));
  await eventually(async () => ((await members()).every(({ inService }) => inService) ? true : undefined));
});
afterAll(() => rmSync(scratch, { recursive: true }));

test("R25: on the account that its SDK reaches, the program replaces the one node that is named and reports", async () => {
  const [kept, replaced] = await members();

  const { code, stdout, stderr } = await program({ HOLDFAST_AWS_SMOKE: file, HOLDFAST_AWS_SMOKE_REPLACE: "01" });

  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/passed\n$/) });
  const { report } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { report: SmokeReport };
  expect(report).toMatchObject({
    passed: true,
    plan: { exitCode: 0 },
    roll: { exitCode: 0, said: { outcome: { status: "done", replaced: ["01"] } } },
    observations: {
      shownAfterTerminateMs: [expect.any(Number)],
      shownAfterResumeMs: [expect.any(Number)],
      launchedAfterResumeMs: [expect.any(Number)],
    },
  });
  const now = await members();
  expect(now[0]).toEqual(kept);
  expect(now[1]?.id).not.toBe(replaced?.id);
});

test("without the variable it says what it needs, and reaches nothing", async () => {
  const { code, stdout, stderr } = await program({ AWS_ENDPOINT_URL: "http://127.0.0.1:9" });

  expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
  expect(stderr).toContain("HOLDFAST_AWS_SMOKE=<manifest>");
});

async function members() {
  const groups = await sdkCloud(options()).describeGroups(manifest.nodes.map(({ group }) => group));
  return manifest.nodes.map(({ group: name }) => {
    const member = groups.find((group) => group.name === name)?.instances.at(-1);
    return { id: member?.id, inService: member?.lifecycle === "InService" };
  });
}

function program(environment: Readonly<Record<string, string>>) {
  const args = ["--import", "tsx", "scripts/smoke-aws/main.ts", "--poll", "0.3s", "--successes", "1"];
  const { HOLDFAST_AWS_SMOKE: _, HOLDFAST_AWS_SMOKE_REPLACE: __, ...env } = process.env;
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(
      process.execPath,
      args,
      { cwd: ROOT, env: { ...env, AWS_ENDPOINT_URL: aws.emulator().url, NODE_NO_WARNINGS: "1", ...environment } },
      (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}
