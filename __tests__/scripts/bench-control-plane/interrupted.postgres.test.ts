import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { eventually } from "../../support/eventually";
import { isAlive } from "../../support/is-alive";
import { useScratch } from "../../support/scratch";

const PLANE = JSON.stringify(resolve("scripts/bench-control-plane/plane"));

test("a bench that is interrupted leaves no control plane, no PostgreSQL and no folder", async () => {
  const source = `
    const { startCopy, startStore } = require(${PLANE});
    startStore().then(async (store) => {
      const { pid } = await startCopy(store);
      console.log(JSON.stringify({ folder: store.directory, pid }));
    });`;
  const bench = spawn(process.execPath, ["--import", "tsx", "-e", source], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(bench, "exit");
  const { folder, pid } = JSON.parse(String((await once(bench.stdout, "data"))[0]));
  const server = Number(readFileSync(join(folder, "postgres", "data", "postmaster.pid"), "utf8").split("\n")[0]);

  bench.kill("SIGINT");

  expect(await ended).toEqual([null, "SIGINT"]);
  expect(existsSync(folder)).toBe(false);
  await eventually(async () => ([pid, server].some(isAlive) ? undefined : true));
}, 120_000);

/** The processes, but this, whose command line, environment or folder names the path. */
function processesOf(path: string): string[] {
  const read = (look: () => string) => {
    try {
      return look();
    } catch {
      return "";
    }
  };
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    const files = ["cmdline", "environ"].map((name) => read(() => readFileSync(`/proc/${pid}/${name}`, "latin1")));
    return [...files, read(() => readlinkSync(`/proc/${pid}/cwd`))].some((text) => text.includes(path));
  });
}

/** Everything below a folder that changes. */
function namesIn(path: string): string[] {
  try {
    return readdirSync(path, { recursive: true }).map(String);
  } catch {
    return [];
  }
}

describe("a bench that is told to end", () => {
  const scratch = useScratch();

  /** What lies in its folder once its servers run. */
  test.each([
    ["second-server", ["postgres/data/postmaster.pid"]],
    ["move", ["postgres/data/postmaster.pid", "target/data/postmaster.pid"]],
    ["fleet", ["store", "source", "sink"].map((name) => `${name}/data/postmaster.pid`)],
    ["heartbeat-period", ["state/jobs/[^/]+/process"]],
    ["job-logs", ["copies/.+"]],
  ])(
    "%s leaves no process and no folder",
    async (name, made) => {
      chmodSync(scratch.path, 0o711);
      const bench = spawn(process.execPath, ["--import", "tsx", "scripts/bench.ts", name], {
        env: { ...process.env, TMPDIR: scratch.path },
        stdio: ["ignore", "ignore", "inherit"],
      });
      const ended = once(bench, "exit");
      await eventually(async () => {
        const names = namesIn(scratch.path);
        return made.every((file) => names.some((name) => new RegExp(`^[^/]+/${file}$`).test(name))) || undefined;
      });

      bench.kill("SIGHUP");

      expect(await ended).toEqual([null, "SIGHUP"]);
      await eventually(async () => (processesOf(scratch.path).length === 0 ? true : undefined));
      expect(readdirSync(scratch.path).filter((made) => made.startsWith("holdfast-bench-"))).toEqual([]);
    },
    600_000,
  );
});
