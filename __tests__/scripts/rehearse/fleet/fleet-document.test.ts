import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { withDials, workersOf } from "../../../../scripts/rehearse/deployment/fleet-document";
import { jobsFor } from "../../../../scripts/rehearse/fleet/fleet-needs";
import { readDeployments } from "../../../../stacks/deployments";
import { KINDS } from "../../../../stacks/kinds";
import { useScratch } from "../../../support/scratch";

const scratch = useScratch();
const text = (name: string) => readFileSync(join(__dirname, "../../../../deployments", `${name}.yaml`), "utf8");
const PRODUCTION = text("ez-cdc-production");
const PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const DIALS = {
  controlPlaneUrl: "https://10.181.0.1:41234",
  certificate: PEM,
  token: { ssm_parameter_arn: "arn:aws:ssm:eu-west-1:123456789012:parameter/worker-token" },
  sha256: { x86_64: "a".repeat(64), arm64: "b".repeat(64) },
};

test("what the workers of a document dial to, and the jobs that its pools can be shown with, are read from it", () => {
  const releases = { bucket: "acme-eu-west-1-releases", region: "eu-west-1" };
  expect(workersOf(parse(PRODUCTION))).toEqual({
    needs: {
      token: "secret",
      daemon: { ...releases, keyPrefix: "dbmazz", version: "1.8.0" },
      agent: { ...releases, keyPrefix: "worker-agent" },
      pools: [
        { name: "streaming", workers: 3, jobs: 4, drainDeadlineMs: 900_000 },
        { name: "snapshot", workers: 0, jobs: 0, drainDeadlineMs: 14_400_000 },
      ],
    },
  });
});

test("without a control plane there is nothing that a rehearsal could be", () => {
  expect(workersOf(parse(text("content-backup")))).toEqual({ obstacle: expect.stringContaining("queues") });
});

test.each([
  { workers: 3, slots: 5, mode: "handoff", jobs: 4 },
  // Those of a lost worker have room on the one that is left.
  { workers: 2, slots: 1, mode: "handoff", jobs: 1 },
  { workers: 1, slots: 8, mode: "handoff", jobs: 2 },
  { workers: 0, slots: 8, mode: "handoff", jobs: 0 },
  // A drain would wait for a stream to end.
  { workers: 3, slots: 5, mode: "finish", jobs: 0 },
] as const)("$workers workers of $slots slots that $mode their jobs get $jobs", ({ jobs, ...pool }) => {
  expect(jobsFor(pool)).toBe(jobs);
});

test("a document with the rehearsal's own dials is one that the stack takes, and differs in nothing else", () => {
  const dialed = withDials(PRODUCTION, "production", DIALS);
  const file = scratch.write("production.yaml", dialed);
  expect(readDeployments([file], KINDS)).toHaveLength(1);

  const { control_plane, daemon_release, ...rest } = parse(PRODUCTION);
  expect(parse(dialed)).toEqual({
    ...rest,
    control_plane: { ...control_plane, url: DIALS.controlPlaneUrl, token: DIALS.token },
    daemon_release: { ...daemon_release, sha256: DIALS.sha256 },
    ca_certificates: PEM,
  });
});

test("certificates that it trusts stay, its proxy goes, and other documents of its file are left alone", () => {
  const other = "kind: worker-fleet\nname: other\nproxy: { url: http://proxy.internal:3128 }\n";
  const mine = `kind: worker-fleet\nname: mine\nproxy: { url: http://proxy.internal:3128 }\nca_certificates: ${JSON.stringify(PEM)}\n`;
  const [first, second] = parseAllDocuments(withDials(`${other}---\n${mine}`, "mine", DIALS)).map((it) =>
    "toJS" in it ? it.toJS() : undefined,
  );
  expect(first).toEqual(parse(other));
  expect(second).toMatchObject({ name: "mine", ca_certificates: `${PEM}${PEM}` });
  expect(second).not.toHaveProperty("proxy");
});
