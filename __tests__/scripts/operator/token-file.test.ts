import { execFile, execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { useScratch } from "../../support/scratch";
import { useCannedControlPlane } from "./canned-control-plane";
import { holdfast, type Outcome } from "./holdfast";

const REPOSITORY = resolve(__dirname, "../../..");
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

const scratch = useScratch();
const plane = useCannedControlPlane();
beforeEach(() => {
  plane.answer = () => ({ id: "id-1", token: "hfo_canary" });
});

const at = (name: string): string => join(scratch.path, name);

const environment = () => ({ HOLDFAST_URL: plane.url, HOLDFAST_TOKEN: "hfo_abcdefgh" });

const create = async (out: string, ...more: string[]): Promise<Outcome> =>
  await holdfast(["token", "create", "--all-deployments", "--out", out, ...more], environment());

/** Expects that the command was refused before it asked for a token, and left nothing in the folder of its file. */
async function expectRefused(out: string, reason: RegExp): Promise<void> {
  const folder = dirname(out);
  const before = statSync(folder, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(folder) : undefined;
  const { code, out: said, err } = await create(out, "--json");
  expect([code, err]).toEqual([1, ""]);
  const { error } = JSON.parse(said);
  expect(error).toMatchObject({ code: "TOKEN_UNWRITABLE", where: out, next: expect.stringContaining("--out") });
  expect(error.message).toMatch(/^no token was issued: /);
  expect(error.message).toMatch(reason);
  expect(plane.asked).toEqual([]);
  if (before) expect(readdirSync(folder)).toEqual(before);
}

it("no token is asked for where its folder is missing or the file is a folder", async () => {
  mkdirSync(at("folder"));

  await expectRefused(at("none/token"), /ENOENT/);
  await expectRefused(at("folder"), /is a folder/);
  await expectRefused(`${at("new")}/`, /is a folder/);
  await expectRefused("/sys/token", /EACCES|EPERM|EROFS/);
  expect(await create(at("none/token"))).toEqual({
    code: 1,
    out: "",
    err: expect.stringMatching(/^TOKEN_UNWRITABLE: .*\n {2}where: .*none\/token\n {2}next: .*--out.*\n$/),
  });
});

it("rotating a token asks for none either where it could not be written", async () => {
  const outcome = await holdfast(
    ["token", "rotate", "old", "--all-deployments", "--out", at("none/token"), "--json"],
    environment(),
  );

  expect(JSON.parse(outcome.out)).toMatchObject({ error: { code: "TOKEN_UNWRITABLE" } });
  expect(plane.asked).toEqual([]);
});

it("takes the place of a file that others could read, whom it shows nothing of the token", async () => {
  writeFileSync(at("token"), "hfo_older\n");
  chmodSync(at("token"), 0o644);
  linkSync(at("token"), at("held-open"));
  plane.answer = () => {
    expect(readFileSync(at("token"), "utf8")).toBe("hfo_older\n");
    return { id: "id-1", token: "hfo_canary" };
  };

  expect(await create(at("token"))).toMatchObject({ code: 0, err: "" });
  expect(readFileSync(at("token"), "utf8")).toBe("hfo_canary\n");
  expect(statSync(at("token")).mode & 0o777).toBe(0o600);
  expect(readFileSync(at("held-open"), "utf8")).toBe("hfo_older\n");
  expect(readdirSync(scratch.path).sort()).toEqual(["held-open", "token"]);
});

it("follows a link, also one to a file that is not there yet", async () => {
  mkdirSync(at("real"));
  writeFileSync(at("real/token"), "hfo_older\n");
  symlinkSync("real/token", at("link"));
  symlinkSync("real/new", at("dangling"));

  for (const link of ["link", "dangling"]) expect(await create(at(link))).toMatchObject({ code: 0 });
  for (const file of ["link", "dangling", "real/token", "real/new"]) {
    expect(readFileSync(at(file), "utf8")).toBe("hfo_canary\n");
  }
  expect(readdirSync(at("real")).sort()).toEqual(["new", "token"]);
  expect(readdirSync(scratch.path).sort()).toEqual(["dangling", "link", "real"]);
});

it("names links that lead in a circle", async () => {
  symlinkSync("b", at("a"));
  symlinkSync("a", at("b"));

  await expectRefused(at("a"), /ELOOP/);
});

it("names the token that was issued when it cannot be written after all, and how it is revoked", async () => {
  plane.answer = () => {
    mkdirSync(at("token"));
    return { id: "id-1", token: "hfo_canary" };
  };

  const { code, out, err } = await create(at("token"), "--json");
  expect([code, err]).toEqual([1, ""]);
  expect(JSON.parse(out)).toEqual({
    error: {
      code: "TOKEN_LOST",
      message: expect.stringMatching(/^token id-1 was issued, but cannot be written: EISDIR/),
      where: at("token"),
      next: expect.stringMatching(/^holdfast token revoke id-1 --all-deployments\b/),
    },
  });
  expect(out).not.toContain("hfo_canary");
  expect(readdirSync(scratch.path)).toEqual(["token"]);
  expect(readdirSync(at("token"))).toEqual([]);
});

it("names it too where a device takes nothing, as a full disk", async () => {
  const { code, out } = await create("/dev/full", "--json");

  expect([code, JSON.parse(out).error]).toMatchObject([
    1,
    { code: "TOKEN_LOST", message: expect.stringContaining("ENOSPC"), where: "/dev/full" },
  ]);
});

it("leaves nothing behind where the control plane refuses", async () => {
  plane.answer = () => undefined;

  expect((await create(at("token"))).err).toContain("NOT_A_CONTROL_PLANE");
  expect(readdirSync(scratch.path)).toEqual([]);
});

it("writes into a pipe, of which it changes nothing", async () => {
  execFileSync("mkfifo", ["-m", "644", at("pipe")]);
  const reader = openSync(at("pipe"), constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    expect(await create(at("pipe"))).toMatchObject({ code: 0, err: "" });
    expect(readFileSync(reader, "utf8")).toBe("hfo_canary\n");
  } finally {
    closeSync(reader);
  }
  expect(statSync(at("pipe")).mode & 0o777).toBe(0o644);
  expect(readdirSync(scratch.path)).toEqual(["pipe"]);
});

it("refuses somebody else's file in a folder that all may write to, also behind a link", async () => {
  const folder = at("shared");
  mkdirSync(folder);
  chmodSync(folder, 0o1777);
  writeFileSync(join(folder, "token"), "");
  symlinkSync("elsewhere", join(folder, "link"));
  const other = jest.spyOn(process, "geteuid").mockReturnValue((process.geteuid?.() ?? 0) + 1);
  try {
    await expectRefused(join(folder, "token"), /somebody else/);
    await expectRefused(join(folder, "link"), /somebody else/);
  } finally {
    other.mockRestore();
  }
});

(isRoot ? it : it.skip)("leaves a service's file to the service's user", async () => {
  writeFileSync(at("token"), "");
  chownSync(at("token"), NOBODY, NOBODY);

  expect(await create(at("token"))).toMatchObject({ code: 0 });
  expect(statSync(at("token"))).toMatchObject({ uid: NOBODY, gid: NOBODY });
});

(isRoot ? it : it.skip)("refuses a file whose owner would not be able to read it any more", async () => {
  chownSync(scratch.path, NOBODY, NOBODY);
  writeFileSync(at("token"), "");
  process.seteuid?.(NOBODY);
  try {
    await expectRefused(at("token"), /somebody else|EPERM/);
  } finally {
    process.seteuid?.(0);
  }
});

describe("as a program", () => {
  /** Runs a line of a shell, in which `$holdfast` creates a token. */
  const shell = (line: string): Promise<{ readonly out: string; readonly err: string }> =>
    new Promise((done) => {
      const command = `holdfast='${process.execPath} --import tsx scripts/holdfast.ts token create --all-deployments'; ${line}`;
      const env = { ...process.env, ...environment() };
      execFile("bash", ["-c", command], { cwd: REPOSITORY, env }, (_, out, err) => done({ out, err }));
    });

  it("writes the token alone to its standard output, whatever that is", async () => {
    expect(await shell("$holdfast --out /dev/stdout")).toEqual({
      out: "hfo_canary\n",
      err: "issued token id-1\n",
    });
    await shell(`$holdfast --json --out /dev/stdout > ${at("redirected")}`);
    expect(readFileSync(at("redirected"), "utf8")).toBe("hfo_canary\n");
  }, 60_000);

  it("says the id of a token that its standard output does not take", async () => {
    expect((await shell("$holdfast --out - > /dev/full")).err).toMatch(/^issued token id-1\n/);
  }, 60_000);

  it("removes what it had prepared when it is interrupted", async () => {
    const during: string[][] = [];
    const line = `$holdfast --out ${at("token")} & echo $! > ${at("pid")}; wait $!; echo $?`;
    plane.answer = () => {
      during.push(readdirSync(scratch.path).sort());
      process.kill(Number(readFileSync(at("pid"), "utf8")), "SIGTERM");
      return new Promise(() => undefined);
    };

    expect((await shell(line)).out).toBe("143\n");
    expect(during).toEqual([[expect.stringMatching(/^\.holdfast-/), "pid"]]);
    expect(readdirSync(scratch.path)).toEqual(["pid"]);
  }, 60_000);
});
