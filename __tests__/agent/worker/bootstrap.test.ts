import { createHash } from "node:crypto";
import { mkdtemp, open, readdir, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { awsClient } from "../../../agent/host/aws";
import { createLog } from "../../../agent/host/log";
import { bootWorker } from "../../../agent/worker/bootstrap";
import type { WorkerConfig } from "../../../agent/worker/config";
import { type FakeAws, startAws, xmlError } from "../../support/fake-aws";
import { FAKE_CREDENTIALS } from "../../support/imds";
import { eventually } from "../daemon/eventually";

const DAEMON = "#!/bin/sh\necho daemon\n";
const AGENT = "process.exit(0)\n";
const IDENTITY = {
  instanceId: "i-0a1b2c3d4e5f60718",
  region: "us-east-1",
  architecture: "x86_64" as "x86_64" | "arm64",
  availabilityZone: "us-east-1a",
  accountId: "123456789012",
  imageId: "ami-0123456789abcdef0",
  instanceType: "t3.medium",
  privateIp: "10.0.0.10",
};
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

const CONFIG: WorkerConfig = {
  deployment: "production",
  pool: "docs",
  controlPlaneUrl: "https://control.example.com",
  token: { secretArn: "arn:aws:secretsmanager:us-east-1:123456789012:secret:token" },
  autoScalingGroupName: "production-docs",
  launchHookName: "launch",
  launchHookTimeoutSeconds: 600,
  terminateHookName: "terminate",
  terminateHookTimeoutSeconds: 300,
  slots: 5,
  drain: { mode: "handoff", deadlineSeconds: 600 },
  agentRelease: { bucket: "releases", keyPrefix: "worker-agent/", version: "0.2.0", sha256: sha256(AGENT) },
  metricsNamespace: "ez-cdc/workers",
  cloudWatchAgent: { agent: { metrics_collection_interval: 60 } },
  hooks: { beforeInstall: "echo before", afterInstall: "echo after" },
  daemonRelease: {
    bucket: "releases",
    keyPrefix: "dbmazz/",
    version: "2.4.0",
    sha256: { x86_64: sha256(DAEMON) },
  },
};

let aws: FakeAws;
let root: string;
let commands: string[];
let lines: string[];
/** Before systemd tells what the agent said last. */
let toldWhy: () => Promise<unknown>;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "holdfast-boot-"));
  commands = [];
  lines = [];
  toldWhy = async () => {};
  aws = await startAws({
    waitingHooks: ["launch"],
    objects: {
      "releases/worker-agent/0.2.0/worker-agent.mjs": AGENT,
      "releases/dbmazz/2.4.0/dbmazz-linux-amd64": DAEMON,
    },
  });
});
afterEach(async () => {
  await aws.close();
  await rm(root, { recursive: true });
});

/** Boots in a scratch root; programs are recorded, and those that match `failing` fail. */
function boot(config: WorkerConfig = CONFIG, failing?: RegExp, identity = IDENTITY): Promise<boolean> {
  return bootWorker({
    config,
    identity,
    root,
    node: "/usr/bin/node-22",
    log: createLog((line) => void lines.push(line)),
    aws: awsClient({
      region: "us-east-1",
      credentials: Object.assign(async () => FAKE_CREDENTIALS, { forget() {} }),
      environment: { AWS_ENDPOINT_URL: aws.endpoint },
      backoff: { baseMs: 1, capMs: 5 },
    }),
    run: async (command, args, { input }) => {
      const line = [command, ...args, input ?? ""].join(" ").trim();
      commands.push(line);
      if (failing?.test(line)) throw new Error(`${line} failed with status 1`);
      if (line.includes("StatusText")) await toldWhy();
      return line.includes("StatusText") ? "not registered: register: 401 unauthorized: unknown token\n" : "";
    },
  });
}

const hookResults = () => aws.callsOf("CompleteLifecycleAction").map(({ params }) => params["LifecycleActionResult"]);

test("R21: a boot completes its hook with CONTINUE only after the agent has registered", async () => {
  // WHEN systemctl start returns, the agent has said READY=1
  expect(await boot()).toBe(true);

  // THEN
  expect(hookResults()).toEqual(["CONTINUE"]);
  expect(commands).toEqual([
    "/bin/sh -eu echo before",
    expect.stringContaining("dnf install -qy amazon-cloudwatch-agent"),
    expect.stringContaining("amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s -c file:"),
    "/bin/sh -eu echo after",
    "systemd-sysusers /etc/sysusers.d/holdfast.conf",
    "systemctl daemon-reload",
    "systemctl enable holdfast-worker.service",
    "systemctl start holdfast-guard.service",
    "systemctl start holdfast-worker.service",
  ]);
  expect(aws.callsOf("CreateTags")).toEqual([]);
});

const other = (text: string) => ({ ...CONFIG.agentRelease, sha256: sha256(text) });
const noDaemon = ({ params }: { readonly params: Readonly<Record<string, unknown>> }) =>
  String(params["path"]).includes("dbmazz") ? xmlError(404, "NoSuchKey", "no such key") : undefined;
/** A proxy, and a Node.js that cannot use one. */
const proxied = () => {
  jest.replaceProperty(process, "env", { ...process.env, HTTPS_PROXY: "http://proxy.internal:3128" });
  jest.spyOn(process, "allowedNodeEnvironmentFlags", "get").mockReturnValue(new Set());
};

/** Every step of a boot. */
describe.each<[string, { failing?: RegExp; config?: Partial<WorkerConfig>; before?: () => unknown }, string]>([
  ["the check of the proxy", { before: proxied }, "could not check the proxy: a proxy needs Node.js 22.21"],
  ["the beforeInstall hook", { failing: /echo before/ }, "could not run the beforeInstall hook: "],
  ["the writing of the units", { before: () => writeFile(join(root, "etc"), "a file") }, "could not write the units: "],
  ["the CloudWatch agent's installation", { failing: /dnf install/ }, "could not start the CloudWatch agent: "],
  ["the CloudWatch agent's start", { failing: /fetch-config/ }, "could not start the CloudWatch agent: "],
  ["the fetching of the agent", { config: { agentRelease: other("another") } }, "could not fetch the agent: "],
  [
    "the fetching of the daemon",
    { before: () => aws.intercept("GetObject", noDaemon) },
    "could not fetch the daemon: ",
  ],
  ["the afterInstall hook", { failing: /echo after/ }, "could not run the afterInstall hook: "],
  ["systemd", { failing: /daemon-reload/ }, "could not start the agent and register: "],
  [
    "the registration",
    { failing: /systemctl start/ },
    "could not start the agent and register: not registered: register: 401",
  ],
])("R21: when %s fails", (_, { failing, config, before }, why) => {
  beforeEach(() => before?.());
  afterEach(() => jest.restoreAllMocks());

  test("the group is told ABANDON within ten seconds, the reason is in the tag, the metric and the log, and the machine powers off", async () => {
    const started = Date.now();

    expect(await boot({ ...CONFIG, ...config }, failing)).toBe(false);

    expect(hookResults()).toEqual(["ABANDON"]);
    expect(aws.callsOf("CompleteLifecycleAction")[0]?.at).toBeLessThan(started + 10_000);
    expect(aws.callsOf("CreateTags")[0]?.params).toMatchObject({
      "ResourceId.1": IDENTITY.instanceId,
      "Tag.1.Key": "holdfast:boot",
      "Tag.1.Value": expect.stringContaining(`failed: ${why}`),
    });
    expect(aws.callsOf("PutMetricData")[0]?.params).toMatchObject({
      Namespace: "ez-cdc/workers",
      "MetricData.member.1.MetricName": "BootFailed",
    });
    expect(lines.join("")).toContain(why);
    expect(commands.at(-1)).toBe("systemctl poweroff");
  });
});

test("R21: the group is told ABANDON before it is known why the agent did not start", async () => {
  toldWhy = () => eventually("the group is told", async () => expect(hookResults()).toEqual(["ABANDON"]), 5_000);

  expect(await boot(CONFIG, /systemctl start/)).toBe(false);

  expect(lines.join("")).toContain("could not start the agent and register: not registered: register: 401");
});

test("R21: where not even that can be asked, the reason is what systemctl said", async () => {
  toldWhy = () => Promise.reject(new Error("no bus"));

  expect(await boot(CONFIG, /systemctl start/)).toBe(false);

  const tag = aws.callsOf("CreateTags")[0]?.params["Tag.1.Value"];
  expect(tag).toMatch(/^failed: could not start the agent and register: systemctl start .* failed with status 1$/);
});

test.each([
  [403, "AccessDenied"],
  [500, "InternalFailure"],
])(
  "R21: an instance whose group answers %i %s still powers off",
  async (status, code) => {
    aws.intercept("CompleteLifecycleAction", () => xmlError(status, code, "no"));
    aws.intercept("CreateTags", () => "hang");
    expect(await boot(CONFIG, /daemon-reload/)).toBe(false);

    expect(commands.at(-1)).toBe("systemctl poweroff");
  },
  30_000,
);

test("defect 5: a daemon with another checksum is not put in place, and the boot is abandoned with both sums", async () => {
  const expected = sha256("another build");
  const daemonRelease = { bucket: "releases", keyPrefix: "dbmazz/", version: "2.4.0", sha256: { x86_64: expected } };

  expect(await boot({ ...CONFIG, daemonRelease })).toBe(false);

  expect(hookResults()).toEqual(["ABANDON"]);
  expect(lines.join("")).toContain(`has SHA-256 ${sha256(DAEMON)}, expected ${expected}`);
  expect(await readdir(join(root, "opt/holdfast/daemons/2.4.0"))).toEqual([]);
});

test("defect 6: an architecture without a checksum is refused, by name", async () => {
  expect(await boot(CONFIG, undefined, { ...IDENTITY, architecture: "arm64" })).toBe(false);

  expect(lines.join("")).toContain("could not fetch the daemon: dbmazz/2.4.0/dbmazz-linux-arm64 has no checksum");
});

test("defect 6: the daemon is fetched by version and architecture, and linked", async () => {
  await boot();

  expect(aws.callsOf("GetObject").map(({ params }) => params["path"])).toEqual([
    "/releases/worker-agent/0.2.0/worker-agent.mjs",
    "/releases/dbmazz/2.4.0/dbmazz-linux-amd64",
  ]);
  expect(await readlink(join(root, "opt/holdfast/daemon"))).toBe("/opt/holdfast/daemons/2.4.0/dbmazz");
  const daemon = join(root, "opt/holdfast/daemons/2.4.0/dbmazz");
  expect(await readFile(daemon, "utf8")).toBe(DAEMON);
  expect((await stat(daemon)).mode & 0o777).toBe(0o755);
});

test("a release is whole where it is put in place, also when the disk takes a part of it at a time", async () => {
  const handle = await open(join(root, "any"), "w");
  await handle.close();
  const prototype = Object.getPrototypeOf(handle);
  const { write } = prototype;
  const partly = jest.spyOn(prototype, "write").mockImplementation(function (this: unknown, bytes: unknown) {
    return write.call(this, (bytes as Uint8Array).subarray(0, 3));
  });

  expect(await boot()).toBe(true);

  partly.mockRestore();
  expect(await readFile(join(root, "opt/holdfast/daemons/2.4.0/dbmazz"), "utf8")).toBe(DAEMON);
});

test("defect 2: units and configuration are written into directories that did not exist, before the unit is started", async () => {
  await boot();

  const unit = await readFile(join(root, "etc/systemd/system/holdfast-worker.service"), "utf8");
  expect(unit).toContain("ExecStart=/usr/bin/node-22 /var/lib/holdfast-worker/agents/worker-agent.mjs run");
  for (const line of ["Type=notify", "NoNewPrivileges=yes", "CapabilityBoundingSet=\n", "User=holdfast-worker"]) {
    expect(unit).toContain(line);
  }
  expect(unit).not.toContain("MemoryDenyWriteExecute=yes");
  await stat(join(root, "etc/systemd/system/holdfast-token.service"));
  const cloudWatch = await readFile(join(root, "opt/aws/amazon-cloudwatch-agent/etc/holdfast.json"), "utf8");
  expect(JSON.parse(cloudWatch)).toEqual(CONFIG.cloudWatchAgent);
});

test("R4: nothing that a boot writes or sends holds a credential", async () => {
  await boot(CONFIG, /systemctl start/);

  const written = await Promise.all(
    (await readdir(root, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => readFile(join(entry.parentPath, entry.name), "utf8")),
  );
  const everything = [...written, ...lines, ...commands, JSON.stringify(aws.calls)].join("\n");
  expect(everything).toContain("holdfast-worker.service");
  expect(everything).not.toContain(FAKE_CREDENTIALS.secretAccessKey);
  expect(everything).not.toContain(FAKE_CREDENTIALS.sessionToken);
});
