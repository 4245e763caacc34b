import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { awsClient } from "../../../agent/host/aws";
import { runScriptFunction, type ScriptCall } from "../../../agent/node/script/run-function";
import { placeScript } from "../../../agent/node/script/source";
import { startHttpServer } from "../../support/http-server";
import { FAKE_CREDENTIALS } from "../../support/imds";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-script-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Calls a function, configure_cluster_node by default, of a script where both have this body. */
async function configure(body: string, change: Partial<ScriptCall> = {}): Promise<string[]> {
  const { call = "configure_cluster_node" } = change;
  const script = join(folder, `${call}.sh`);
  writeFileSync(script, `configure_cluster_node() {\n${body}\n}\nwait_for_healthy_cluster() {\n${body}\n}\n`);
  const lines: string[] = [];
  await runScriptFunction({
    script,
    call: "configure_cluster_node",
    nodeId: "00",
    nodeIp: "10.0.0.10",
    region: "us-east-1",
    logFile: join(folder, `${call}.log`),
    onLine: (line) => lines.push(line),
    timeoutMs: 20_000,
    ...change,
  });
  return lines;
}

describe("node_userdata.sh: the node config script", () => {
  test("L3, L123: gets the node's id and address, does not run under -eux as a whole, and has an environment of its own", async () => {
    process.env["CANARY"] = "of the agent";
    const lines = await configure('echo "$1 $2 $AWS_REGION ${CANARY:-none} $PWD $-"');
    delete process.env["CANARY"];

    expect(lines[0]).toMatch(/^00 10\.0\.0\.10 us-east-1 none \/ /);
    expect(lines[0]).not.toMatch(/x\w*$/);
  });

  test("L123: is the file that was placed, not one of the same name in PATH", async () => {
    const elsewhere = join(folder, "bin");
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, "configure_cluster_node.sh"), 'configure_cluster_node() { echo "from PATH"; }\n', {
      mode: 0o755,
    });
    const path = process.env["PATH"];
    process.env["PATH"] = `${elsewhere}:${path}`;
    const lines = await configure("echo placed");
    process.env["PATH"] = path;

    expect(lines).toEqual(["placed"]);
  });

  test("fails with its status and its last lines as soon as a command fails", async () => {
    await expect(configure("echo before\nfalse\necho after")).rejects.toThrow(
      /^configure_cluster_node failed with status 1\nbefore$/,
    );
  });

  test("L6-38: may use variables that are not set, and values with blanks and semicolons", async () => {
    expect(await configure('echo "[$unset]$1"', { nodeId: "a b;exit 1" })).toEqual(["[]a b;exit 1"]);
  });

  test("must define both functions", async () => {
    const script = join(folder, "half.sh");
    writeFileSync(script, "configure_cluster_node() { :; }\n");

    await expect(configure("", { script })).rejects.toThrow("does not define wait_for_healthy_cluster");
  });

  test("L124, L127: either function is ended with all it started when its time is over, and the tail says where it was", async () => {
    const waiting = (call: ScriptCall["call"]) =>
      configure("echo waiting for the package mirror\nsleep 300", { call, timeoutMs: 5_000 });

    for (const result of await Promise.allSettled([
      waiting("configure_cluster_node"),
      waiting("wait_for_healthy_cluster"),
    ])) {
      expect(result).toMatchObject({
        status: "rejected",
        reason: { message: expect.stringMatching(/did not finish within 5 s\nwaiting for the package mirror/) },
      });
    }
  }, 60_000);

  test("may leave a daemon behind that goes on writing", async () => {
    const go = join(folder, "go");
    const lines = await configure(`(until [ -e '${go}' ]; do sleep 0.1; done; echo late) &\necho started`);

    expect(lines).toEqual(["started"]);
    writeFileSync(go, "");
    while (!readFileSync(join(folder, "configure_cluster_node.log"), "utf8").includes("late")) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
});

describe("node_userdata.sh L92-109: a script in S3", () => {
  const SCRIPT = "configure_cluster_node() { :; }\n";
  const SHA256 = "d2d3aa6da7bd4b5ae6a0ed36ff3a9dfbe08aa2f0eb6e5e4ad5a4a0c3c7c5e3f5";

  async function place(answer: { status: number; body?: string }, sha256: string | null) {
    const asked: string[] = [];
    const server = await startHttpServer((request) => {
      asked.push(request.url.pathname + request.url.search);
      return answer;
    });
    try {
      const credentials = Object.assign(async () => FAKE_CREDENTIALS, { forget: () => {} });
      const aws = awsClient({ region: "us-east-1", credentials, environment: { AWS_ENDPOINT_URL: server.endpoint } });
      const s3 = { bucket: "scripts", key: "zk/node.sh", versionId: "v1.a", sha256 };
      await placeScript(aws, { s3 }, join(folder, "placed.sh"));
    } finally {
      await server.close();
    }
    return asked;
  }

  test("is fetched in the version that the template names", async () => {
    expect(await place({ status: 200, body: SCRIPT }, null)).toEqual(["/scripts/zk/node.sh?versionId=v1.a"]);
    expect(readFileSync(join(folder, "placed.sh"), "utf8")).toBe(SCRIPT);
  });

  test("that is not the pinned one is refused, and nothing is placed", async () => {
    await expect(place({ status: 200, body: SCRIPT }, SHA256)).rejects.toMatchObject({ code: "script-changed" });
    expect(() => readFileSync(join(folder, "placed.sh"))).toThrow("ENOENT");
  });

  test("that cannot be fetched fails the boot: there is no older one to fall back to", async () => {
    await expect(place({ status: 403 }, null)).rejects.toThrow("s3 GetObject s3://scripts/zk/node.sh: 403");
    expect(() => readFileSync(join(folder, "placed.sh"))).toThrow("ENOENT");
  });
});
