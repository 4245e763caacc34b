import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readlinkSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../../agent/host/child";
import { readText, replaceSymlink, unlessMissing, writeFileAtomic } from "../../../agent/host/files";
import { createLog, reason } from "../../../agent/host/log";
import { watchdogPeriodMs } from "../../../agent/host/systemd";
import { fullJitterMs, retry, withDeadline } from "../../../agent/host/waiting";
import { unreadable } from "../../support/unreadable";

describe("files", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "holdfast-files-"));
  });
  afterEach(() => {
    jest.restoreAllMocks();
    return rm(folder, { recursive: true });
  });

  test("a file is written into a directory that did not exist, with its mode, and leaves nothing else", async () => {
    const path = join(folder, "etc/holdfast/worker.json");
    await writeFileAtomic(path, "one");
    await writeFileAtomic(path, "two", 0o600);

    expect(await readFile(path, "utf8")).toBe("two");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(folder, "etc/holdfast"))).toEqual(["worker.json"]);
  });

  test("a failed write leaves the old content and no partial file", async () => {
    const path = join(folder, "a");
    await writeFileAtomic(join(path, "b"), "x");

    await expect(writeFileAtomic(path, "not over a directory")).rejects.toThrow();
    expect(await readdir(folder)).toEqual(["a"]);
  });

  test.each(["a", "a/b"])("what is missing (%s) reads as nothing, where a file stands in its way too", async (name) => {
    const read = (path: string) => unlessMissing(path, readText, "make it readable");
    expect(read(join(folder, "a", name))).toBeUndefined();

    await writeFileAtomic(join(folder, "a"), "a file");

    expect(read(join(folder, "a", name))).toBeUndefined();
    expect(read(join(folder, "a"))).toBe("a file");
  });

  test.each(["EIO", "EMFILE", "EACCES"])("what cannot be read (%s) is not taken for missing", async (code) => {
    const path = join(folder, "a");
    await writeFileAtomic(path, "a file");
    unreadable(path, code);

    let told: unknown;
    try {
      unlessMissing(path, readText, "make it readable");
    } catch (error) {
      told = error;
    }

    expect(reason(told)).toBe(`${path} cannot be read: make it readable: ${code}: ${path}`);
    expect((told as Error).cause).toMatchObject({ code });
  });

  test("R31: a link is swapped, and at no moment is it missing", async () => {
    const link = join(folder, "current");
    await replaceSymlink("2.3.0", link);
    let swapping = true;
    const swaps = (async () => {
      for (let swap = 0; swap < 200; swap++) await replaceSymlink(swap % 2 === 0 ? "2.4.0" : "2.3.0", link);
    })().finally(() => {
      swapping = false;
    });
    const seen = new Set<string>();
    while (swapping) {
      seen.add(readlinkSync(link));
      await new Promise(setImmediate);
    }
    await swaps;

    expect([...seen].sort()).toEqual(["2.3.0", "2.4.0"]);
    expect(await readdir(folder)).toEqual(["current"]);
  });
});

describe("child processes", () => {
  test("give their output, line by line and whole", async () => {
    const lines: string[] = [];
    const output = await run("sh", ["-c", "cat; echo err >&2; printf end"], {
      timeoutMs: 5_000,
      input: "in\n",
      onLine: (line) => lines.push(line),
    });
    expect(output).toBe("in\nend\n");
    expect(lines.sort()).toEqual(["end", "err", "in"]);
  });

  test("that fail say how, and their last words", async () => {
    await expect(run("sh", ["-c", "echo no space left >&2; exit 3"], { timeoutMs: 5_000 })).rejects.toThrow(
      /failed with status 3\nno space left/,
    );
    await expect(run("no-such-program", [], { timeoutMs: 5_000 })).rejects.toThrow("no-such-program did not start");
  });

  test("that cannot be started where no file descriptor is left say so, and the program lives on", async () => {
    const program = `
      import { openSync } from "node:fs";
      import child from "./agent/host/child.ts";
      console.error("begun");
      try {
        for (;;) openSync("/dev/null");
      } catch {}
      await child.run("true", [], { timeoutMs: 60_000 }).catch((error) => console.error(error.message, error.cause.code));`;
    const args = ["-c", 'ulimit -n 64 && exec "$@"', "sh", process.execPath];

    const { stderr, status } = spawnSync("sh", [...args, "--import", "tsx", "--input-type=module", "--eval", program], {
      encoding: "utf8",
    });

    expect({ stderr, status }).toEqual({ stderr: "begun\ntrue did not start EMFILE\n", status: 0 });
  });

  test("that hang are ended with their children", async () => {
    await expect(run("sh", ["-c", "sleep 100 & sleep 100"], { timeoutMs: 100 })).rejects.toThrow(
      "did not finish within 0.1 s",
    );
  });
});

describe("log", () => {
  test("prints one JSON object per line, without its secrets", () => {
    const lines: string[] = [];
    const log = createLog((line) => void lines.push(line));
    log.redact('tok"en');
    log.redact("");
    log.warn('got tok"en\nthen more', { nested: { header: 'Bearer tok"en' } });

    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      level: "warn",
      message: "got [redacted]\nthen more",
      nested: { header: "Bearer [redacted]" },
    });
  });

  test("a reason names every cause", () => {
    const error = new Error("no registration", { cause: new Error("connect", { cause: "ECONNREFUSED" }) });
    expect(reason(error)).toBe("no registration: connect: ECONNREFUSED");
  });
});

describe("standard output", () => {
  const PROGRAM = `
    import host from "./agent/host/log.ts";
    const log = host.createLog();
    for (let line = 1; line <= 3; line++) {
      log.info("said");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    console.error("lived on");`;

  const exitOf = async (stdout: number | "pipe", started: (child: ChildProcess) => void = () => {}) => {
    const args = ["--import", "tsx", "--input-type=module", "--eval", PROGRAM];
    const child = spawn(process.execPath, args, { stdio: ["ignore", stdout, "pipe"] });
    started(child);
    const told: string[] = [];
    child.stderr?.on("data", (text) => told.push(String(text)));
    const [status] = await once(child, "close");
    return { status, told: told.join("") };
  };

  test("that has no room does not end the program that logs to it", async () => {
    const full = openSync("/dev/full", "w");
    const exit = await exitOf(full);
    closeSync(full);

    expect(exit).toEqual({ status: 0, told: "lived on\n" });
  });

  test("that nobody reads any more does not end the program that logs to it", async () => {
    const exit = await exitOf("pipe", ({ stdout }) => stdout?.destroy());

    expect(exit).toEqual({ status: 0, told: "lived on\n" });
  });
});

describe("waiting", () => {
  test("a deadline is kept by work that ignores it, and told to work that listens", async () => {
    let told: AbortSignal | undefined;
    const work = (signal: AbortSignal) => {
      told = signal;
      return new Promise<never>(() => {});
    };
    await expect(withDeadline("install Node.js", 20, work)).rejects.toThrow(
      "install Node.js did not finish within 0.02 s",
    );
    expect(told?.aborted).toBe(true);
  });

  test("full jitter spreads over the whole step and stays under the cap", () => {
    const backoff = { baseMs: 500, capMs: 60_000 };
    expect(fullJitterMs(1, backoff, () => 0)).toBe(0);
    expect(fullJitterMs(1, backoff, () => 1)).toBe(500);
    expect(fullJitterMs(5, backoff, () => 1)).toBe(8_000);
    expect(fullJitterMs(10_000, backoff, () => 1)).toBe(60_000);
  });

  test("a retry ends with its signal and throws the last error", async () => {
    let attempts = 0;
    const failing = retry(
      async () => {
        throw new Error(`attempt ${++attempts}`);
      },
      { backoff: { baseMs: 1, capMs: 1 }, retryable: () => attempts < 3 },
    );
    await expect(failing).rejects.toThrow("attempt 3");
  });
});

test("the watchdog is fed twice per period, where there is one", () => {
  expect(watchdogPeriodMs({ WATCHDOG_USEC: "60000000" })).toBe(30_000);
  expect(watchdogPeriodMs({})).toBeUndefined();
});
