import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startServerProcess } from "../../../scripts/chaos/server-process";
import { useScratch } from "../../support/scratch";

const scratch = useScratch();

const start = (program: string, adopt?: (pid: number) => Promise<void>) =>
  startServerProcess({
    name: "the shop",
    args: ["--eval", program],
    cwd: scratch.path,
    logFile: join(scratch.path, "shop.log"),
    ...(adopt && { adopt }),
  });

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("a server is there once it says where it listens, and is gone when it is stopped", async () => {
  const adopted: number[] = [];
  const server = await start(
    `console.log("making ready");
     console.log(JSON.stringify({ url: "http://127.0.0.1:7600", msg: "listening" }));
     setInterval(() => {}, 1_000);`,
    async (pid) => {
      adopted.push(pid);
    },
  );
  expect(server.url).toBe("http://127.0.0.1:7600");
  expect(adopted).toEqual([server.pid]);
  expect(lives(server.pid)).toBe(true);
  await server.stop();
  expect(lives(server.pid)).toBe(false);
  expect(readFileSync(join(scratch.path, "shop.log"), "utf8")).toContain("making ready");
});

test("a server that ends before it listens is told with its log", async () => {
  await expect(start('console.error("no such database"); process.exit(1);')).rejects.toThrow(
    "the shop did not start: it ended\nno such database",
  );
});

test("a server that nobody takes over is ended", async () => {
  let pid = 0;
  const adopt = async (its: number) => {
    pid = its;
    throw new Error("there is no lab");
  };
  await expect(start("setInterval(() => {}, 1_000);", adopt)).rejects.toThrow(
    "the shop did not start: there is no lab",
  );
  expect(lives(pid)).toBe(false);
});
