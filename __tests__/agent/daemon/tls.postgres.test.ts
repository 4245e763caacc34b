import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Authority, certificateAuthority } from "../../support/certificates";
import { eventually } from "./eventually";
import { usePair } from "./pair";

const pair = usePair();

let folder: string;
let authority: Authority;
let stranger: Authority;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-tls-"));
  chmodSync(folder, 0o755);
  authority = certificateAuthority(join(folder, "authority"));
  stranger = certificateAuthority(join(folder, "stranger"));
});
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(() => pair.source.query("create table item (id int primary key); insert into item values (1)"));

/** Has the server show another certificate to whoever connects from now on. */
async function serve(identity: { certificate: string; key: string }): Promise<void> {
  const { rows } = await pair.source.query("show data_directory");
  const data = rows[0].data_directory;
  const { uid, gid } = statSync(data);
  for (const [from, to] of [
    [identity.certificate, "server.crt"],
    [identity.key, "server.key"],
  ] as const) {
    copyFileSync(from, join(data, to));
    chownSync(join(data, to), uid, gid);
    chmodSync(join(data, to), 0o600);
  }
  await pair.source.query("alter system set ssl = on");
  await pair.source.query("select pg_reload_conf()");
  await eventually("TLS is on", async () =>
    expect((await pair.source.query("show ssl")).rows).toEqual([{ ssl: "on" }]),
  );
}

const withTls = (parameters: Readonly<Record<string, string>>, host = "127.0.0.1") => {
  const url = (name: "SOURCE_URL" | "SINK_URL") => {
    const parsed = new URL(pair.environment[name] ?? "");
    parsed.hostname = host;
    for (const [key, value] of Object.entries(parameters)) parsed.searchParams.set(key, value);
    return parsed.href;
  };
  return { SOURCE_URL: url("SOURCE_URL"), SINK_URL: url("SINK_URL"), DO_SNAPSHOT: "true" };
};

async function encrypted(): Promise<boolean[]> {
  const { rows } = await pair.source.query(
    "select distinct ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'holdfast-daemon'",
  );
  return rows.map(({ ssl }) => ssl);
}

async function refused(parameters: Readonly<Record<string, string>>): Promise<string> {
  const daemon = pair.launch(withTls(parameters));
  const status = await daemon.ended;
  const said = daemon.lines.join("\n");
  expect([status, said]).toEqual([78, expect.not.stringMatching(/warning/i)]);
  return said;
}

const ENCRYPTING = ["require", "verify-ca", "verify-full"];

test.each(ENCRYPTING)("sslmode=%s is refused by name where the server has no TLS", async (sslmode) => {
  expect(await refused({ sslmode })).toMatch(/no TLS connection to 127\.0\.0\.1:\d+: it offers none/);
});

test.each(ENCRYPTING)("sslmode=%s encrypts all connections where the certificate is good", async (sslmode) => {
  await serve(authority.issue("localhost", ["127.0.0.1"]));
  const daemon = await pair.start(withTls({ sslmode, sslrootcert: authority.ca }));
  await pair.source.query("insert into item values (2)");
  await pair.equal("item");
  expect(await encrypted()).toEqual([true]);
  expect(daemon.lines.join("\n")).not.toMatch(/warning/i);
});

test("a server's name is looked at, too", async () => {
  await serve(authority.issue("localhost"));
  const parameters = { sslmode: "verify-full", sslrootcert: authority.ca };
  expect(await refused(parameters)).toMatch(/no TLS connection to .*: its certificate is not accepted: Hostname\/IP/);
  await pair.start(withTls(parameters, "localhost"));
});

test.each<[string, () => Readonly<Record<string, string>>, string]>([
  ["another authority", () => ({ sslrootcert: stranger.ca }), "unable to verify the first certificate"],
  ["an authority that is not named", () => ({}), "unable to verify the first certificate"],
])("a certificate of %s is refused for good, with what to do", async (_, parameters, why) => {
  await serve(authority.issue("localhost", ["127.0.0.1"]));
  for (const sslmode of ENCRYPTING) {
    const said = await refused({ sslmode, ...parameters() });
    expect(said).toContain(`its certificate is not accepted: ${why}`);
    expect(said).toContain("sslrootcert=FILE");
  }
});

test("a certificate that has expired is refused for good", async () => {
  const identity = authority.issue("localhost", ["127.0.0.1"], 0);
  await eventually("it expires", async () =>
    expect(() => execFileSync("openssl", ["x509", "-in", identity.certificate, "-checkend", "0"])).toThrow(),
  );
  await serve(identity);
  expect(await refused({ sslmode: "verify-full", sslrootcert: authority.ca })).toContain("certificate has expired");
});

test("no-verify encrypts and looks at nothing", async () => {
  await serve(stranger.issue("elsewhere"));
  await pair.start(withTls({ sslmode: "no-verify" }));
  expect(await encrypted()).toEqual([true]);
});

test.each([
  ["is not there", () => "/nowhere/ca.pem", "no such file"],
  ["holds no certificate", () => stranger.issue("stranger").key, "no certificate"],
])("a file of authorities that %s is told with the variable, before anything is connected to", async (_, file, why) => {
  const said = await refused({ sslmode: "verify-full", sslrootcert: file() });
  expect(said).toContain("the environment is not usable");
  expect(said).toMatch(new RegExp(`SOURCE_URL: .*${why}`));
});
