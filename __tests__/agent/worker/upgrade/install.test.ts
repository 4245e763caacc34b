import { generateKeyPairSync } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { installBeside, type LinkedProgram, probeAgent, probeDaemon } from "../../../../agent/worker/upgrade/install";
import { linkedVersion } from "../../../../agent/worker/upgrade/linked-program";
import { releaseKey, type WantedUpgrade } from "../../../../agent/worker/upgrade/release-signature";
import { linkVersion } from "../../../../scripts/chaos/releases";
import { program, useLinkedAgent } from "./linked-agent";

const agent = useLinkedAgent();

const key = () => releaseKey(readFileSync(agent.releases.keyFile, "utf8"));
const linked = (): LinkedProgram => ({ link: agent.link, version: "1.0.0", probe: probeAgent });
const wanted = (release: Partial<WantedUpgrade> = {}): WantedUpgrade => ({
  kind: "upgrade",
  campaignId: "11111111-1111-4111-8111-111111111111",
  downgrade: false,
  ...agent.releases.offer("agent", "1.1.0", program("1.1.0")),
  ...release,
});
const install = (release: WantedUpgrade) =>
  installBeside(release, linked(), key(), (url, signal) => fetch(url, { signal }));

test("R31: a release that is signed, whole and newer is put beside the version that runs", async () => {
  const path = await install(wanted());

  expect(path).toBe(join(agent.directory, "agents", "1.1.0", "agent.mjs"));
  expect(readFileSync(path)).toEqual(program("1.1.0"));
  expect(linkedVersion(agent.link)).toBe("1.0.0");
});

test.each<[string, () => WantedUpgrade, string]>([
  ["signed by somebody else", () => wanted({ signature: Buffer.alloc(64).toString("base64") }), "signature"],
  ["signed under another version", () => wanted({ version: "1.2.0" }), "signature"],
  [
    "signed as another program",
    () => ({ ...wanted(), ...agent.releases.offer("daemon", "1.1.0", program("1.1.0")), program: "agent" }),
    "signature",
  ],
  ["signed over another checksum", () => wanted({ sha256: "a".repeat(64) }), "signature"],
  [
    "not what was signed",
    () => ({ ...wanted(), url: agent.releases.offer("agent", "1.1.0", program("1.1.0 and more")).url }),
    "SHA-256",
  ],
  ["not there", () => wanted({ url: "http://127.0.0.1:1/agent" }), "fetch failed"],
  ["refused by the server", () => wanted({ url: wanted().url.replace("1.1.0", "none") }), "404"],
  ["older", () => wanted(agent.releases.offer("agent", "0.9.0", program("0.9.0"))), "is older than 1.0.0"],
  [
    "a pre-release of the version that runs",
    () => wanted(agent.releases.offer("agent", "1.0.0-rc.1", program("1.0.0-rc.1"))),
    "is older than 1.0.0",
  ],
  ["not a program", () => wanted(agent.releases.offer("agent", "1.1.0", Buffer.from("{"))), "SyntaxError"],
  [
    "of another version than it says",
    () => wanted(agent.releases.offer("agent", "1.1.0", program("1.0.5"))),
    "calls itself 1.0.5",
  ],
  [
    "named to leave its folder",
    () => wanted(agent.releases.offer("agent", "../9.0.0", program("9"))),
    "is not a version",
  ],
])("R31: a release that is %s is refused, and nothing of it stays", async (_, release, why) => {
  await expect(install(release())).rejects.toThrow(why);

  const left = readdirSync(join(agent.directory, "agents"), { recursive: true })
    .map(String)
    .filter((path) => /mjs/.test(path));
  expect(left.sort()).toEqual(["1.0.0/agent.mjs", "agent.mjs"]);
  expect(readlinkSync(agent.link)).toBe(join(agent.directory, "agents", "1.0.0", "agent.mjs"));
});

test("R31: an older version is installed where the upgrade says downgrade", async () => {
  const path = await install(wanted({ ...agent.releases.offer("agent", "0.9.0", program("0.9.0")), downgrade: true }));
  expect(linkedVersion(agent.link)).toBe("1.0.0");
  expect(readFileSync(path)).toEqual(program("0.9.0"));
});

test("R31: another build of the version that runs is refused, since there would be nothing to turn back to; the same build is not", async () => {
  const held = join(agent.directory, "agents", "1.0.0", "agent.mjs");
  const before = readFileSync(held);

  const rebuilt = agent.releases.offer("agent", "1.0.0", Buffer.concat([before, Buffer.from("// rebuilt\n")]));
  await expect(install(wanted(rebuilt))).rejects.toThrow(
    /1\.0\.0 runs here already, with the SHA-256 [0-9a-f]{64}: give/,
  );
  expect(readFileSync(held)).toEqual(before);

  expect(await install(wanted(agent.releases.offer("agent", "1.0.0", before)))).toBe(held);
  expect(readFileSync(held)).toEqual(before);
});

test("R31: a key of another kind is refused by name", () => {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  expect(() => releaseKey(publicKey.export({ type: "spki", format: "pem" }).toString())).toThrow("make an Ed25519 one");
});

test("R31: a daemon that this machine cannot start is refused; one that only misses its job is not", async () => {
  const probe = probeDaemon((file) => [process.execPath, file]);
  const file = (text: string) =>
    linkVersion(join(agent.directory, text.length.toString()), "1", "d.mjs", Buffer.from(text));
  await probe(file("process.exit(78)"));
  await expect(probe(file("process.kill(process.pid, 'SIGSEGV')"))).rejects.toThrow("does not start: status 139");
  await expect(probeDaemon(() => [`${agent.directory}/none`])("")).rejects.toThrow("does not start: status 127");
});
