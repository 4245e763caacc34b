import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { eventually } from "../../support/eventually";

const PLANE = JSON.stringify(resolve("scripts/bench-control-plane/plane"));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

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
