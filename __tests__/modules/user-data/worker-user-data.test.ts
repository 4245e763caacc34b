import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { App, TerraformStack, TerraformVariable } from "cdktf";
import { parseWorkerConfig } from "../../../agent/worker/config";
import agentRelease from "../../../agent/worker/release.json";
import { gzip } from "../../../modules/user-data/gzip";
import { USER_DATA_LIMIT_BYTES } from "../../../modules/user-data/user-data";
import { type WorkerUserDataProps, workerUserData } from "../../../modules/user-data/worker-user-data";
import { fileIn, MAXIMAL_WORKER, MINIMAL_WORKER, unpacked } from "../../support/user-data";

const stack = () => new TerraformStack(new App(), "stack");
const render = (props: WorkerUserDataProps) => workerUserData(stack(), "user-data", props);

describe("R2: the bytes of user data do not depend on the machine", () => {
  test("the gzip header names no time and no operating system", () => {
    const bytes = Buffer.from(render(MAXIMAL_WORKER).base64, "base64");

    expect(bytes.subarray(0, 3).toString("hex")).toBe("1f8b08");
    expect(bytes.readUInt32LE(4)).toBe(0);
    expect(bytes[9]).toBe(0xff);
  });

  test("two renderings are equal, whatever came before them", () => {
    const first = render(MAXIMAL_WORKER).base64;
    render(MINIMAL_WORKER);
    expect(render(MAXIMAL_WORKER).base64).toBe(first);
  });

  test("the compressed form of a fixed text is pinned: Node's own would give others on other processors", () => {
    const sum = createHash("sha256")
      .update(gzip("holdfast ".repeat(1_000) + [...Array(500).keys()].join()))
      .digest("hex");
    expect(sum).toBe("9f491216836e401ea50a623a4e05d2bd28e1c0cda5e6b37abf5d858c3cef9acd");
  });
});

describe("R3: user data fits into what EC2 takes", () => {
  test("at maximum options", () => {
    const userData = render(MAXIMAL_WORKER);

    expect(Buffer.from(userData.base64, "base64").length).toBe(userData.sizeBytes);
    expect(userData.sizeBytes).toBeLessThanOrEqual(USER_DATA_LIMIT_BYTES);
  });

  test("the program and its boot script leave room for what the user adds", () => {
    const [program, script] = render(MAXIMAL_WORKER)
      .parts()
      .filter(({ name }) => /worker.mjs|boot.sh/.test(name));

    expect((program?.bytes ?? 0) + (script?.bytes ?? 0)).toBeLessThanOrEqual(12_800);
  });

  test("or the error names the pool, the size and the three largest parts", () => {
    const noise = Array.from({ length: 400 }, (_, i) => createHash("sha256").update(String(i)).digest("base64"));
    const tooMuch = { ...MAXIMAL_WORKER, hooks: { beforeInstall: noise.join("\n") } };

    // The hook is the first of the three, the program the second.
    expect(() => render(tooMuch)).toThrow(
      /^pool docs: user data takes \d+ bytes compressed, \d+ more than the 16384 that EC2 takes\. Its largest parts are \/etc\/holdfast\/worker\.json hooks \(\d+ bytes\), \/opt\/holdfast\/worker\.mjs \(\d+ bytes\), \S+( \w+)? \(\d+ bytes\)\.$/,
    );
  });
});

describe("R4: user data holds no secret", () => {
  test("only where the token is kept", () => {
    const document = unpacked(render(MINIMAL_WORKER).base64);

    expect(JSON.parse(fileIn(document, "/etc/holdfast/worker.json")).token).toEqual(MINIMAL_WORKER.token);
    expect(document).not.toMatch(/METRICS_AUTH_TOKEN|AKIA[A-Z0-9]{16}/);
  });

  test("and no password in a proxy's URL", () => {
    expect(() => render({ ...MINIMAL_WORKER, proxy: { url: "http://user:canary@proxy:3128" } })).toThrow(
      /^pool docs: proxy\.url \(with a user\) must not hold a password/,
    );
  });
});

test("cloud-init gets one shell script whose configuration the agent takes", () => {
  const document = unpacked(render(MAXIMAL_WORKER).base64);
  const { proxy, caCertificates, launchHook, terminateHook, ...settings } = MAXIMAL_WORKER;

  expect(document.startsWith("#!/bin/sh\n")).toBe(true);
  expect(document.endsWith("\nboot\n")).toBe(true);
  expect(parseWorkerConfig(fileIn(document, "/etc/holdfast/worker.json"))).toEqual({
    ...settings,
    agentRelease: {
      ...settings.agentRelease,
      version: agentRelease.version,
      sha256: createHash("sha256").update(readFileSync("dist/worker-agent.mjs")).digest("hex"),
    },
    launchHookName: launchHook.name,
    launchHookTimeoutSeconds: launchHook.heartbeatTimeoutSeconds,
    terminateHookName: terminateHook.name,
    terminateHookTimeoutSeconds: terminateHook.heartbeatTimeoutSeconds,
  });
  expect(fileIn(document, "/etc/holdfast/ca.pem")).toBe(caCertificates);
  expect(fileIn(document, "/etc/holdfast/environment").split("\n")).toEqual(
    expect.arrayContaining([`HTTPS_PROXY=${proxy?.url}`, expect.stringMatching(/^NO_PROXY=169\.254\.169\.254,/)]),
  );
});

test("values that Terraform knows alone are compressed by it, within the room that the program leaves", () => {
  // GIVEN
  const scope = stack();
  const variable = new TerraformVariable(scope, "deployment", { type: "string" });

  // WHEN
  const userData = workerUserData(scope, "user-data", { ...MINIMAL_WORKER, deployment: variable.stringValue });

  // THEN
  expect(userData.base64.split("${")[0]).not.toContain("=");
  expect(userData.sizeCheck?.errorMessage).toContain("pool docs");
  expect(userData.sizeBytes).toBeLessThan(USER_DATA_LIMIT_BYTES);
});

test.each([
  [
    { controlPlaneUrl: "http://control.example.com" },
    "controlPlaneUrl (http://control.example.com) must start with https://",
  ],
  [{ slots: 0 }, "slots (0) must be a whole number from 1 to 200"],
  [{ slots: 2.5 }, "slots (2.5) must be a whole number from 1 to 200"],
  [{ daemonRelease: { ...release(), version: "latest" } }, "daemonRelease.version (latest) must be a version"],
  [{ daemonRelease: { ...release(), keyPrefix: "dbmazz" } }, "daemonRelease.keyPrefix (dbmazz) must end with /"],
  [
    { daemonRelease: { ...release(), sha256: { arm64: "ABC" } } },
    "daemonRelease.sha256.arm64 (ABC) must be 64 hexadecimal digits",
  ],
  [{ daemonRelease: { ...release(), sha256: {} } }, "daemonRelease.sha256 (none) must name the checksum"],
  [{ caCertificates: "a\n@end-of-file@\nb" }, "/etc/holdfast/ca.pem: no line of a file in user data may be"],
  [{ proxy: { url: "http://a\nb" } }, "environment: HTTP_PROXY must be one line"],
])("refuses %j", (change, message) => {
  expect(() => render({ ...MINIMAL_WORKER, ...change })).toThrow(message);
});

function release() {
  const { daemonRelease } = MAXIMAL_WORKER;
  if (!daemonRelease) throw new Error("the maximal worker has a daemon");
  return daemonRelease;
}
