import { spawn } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OutsideUpdater } from "../updaters";
import { simulatedCommand } from "./simulated-commands";

const LIMIT_S = 600;
const SHIMMED = ["aws", "sleep", "date"];

/**
 * {@link terminateAndPoll} as a real Bash process. Its commands are answered by the simulator, one at a time, and the
 * simulator's time passes only while it answers: what the shell takes by itself counts for nothing.
 */
export const shellLoop: OutsideUpdater = {
  outside: async ({ cloud, clock, manifest }, pass) => {
    const bin = mkdtempSync(join(tmpdir(), "holdfast-shim-"));
    for (const name of SHIMMED) {
      copyFileSync(join(__dirname, "shim.sh"), join(bin, name));
      chmodSync(join(bin, name), 0o755);
    }
    let failure: unknown;
    const server = createServer((socket) => {
      let asked = "";
      // What the shell had begun waits for an answer still: without one it ends too.
      const end = () => {
        shell.kill("SIGKILL");
        socket.destroy();
      };
      socket.on("error", () => {}).setEncoding("utf8");
      socket.on("data", (text) => {
        asked += text;
        if (!asked.endsWith("\0\0")) return;
        pass(simulatedCommand(asked.slice(0, -2).split("\0"), cloud, clock)).then(
          (answer) => {
            if (answer === "still running") end();
            else socket.end(`${answer.status}\n${answer.output}${answer.output && "\n"}`);
          },
          (error) => {
            failure ??= error;
            end();
          },
        );
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const args = ["terminate-and-poll.sh", String(LIMIT_S), ...manifest.nodes.map(({ group }) => group)];
    const shell = spawn("bash", [join(__dirname, args[0] ?? ""), ...args.slice(1)], {
      stdio: "ignore",
      env: { PATH: `${bin}:${process.env.PATH}`, SIMULATOR_PORT: String(port) },
    });
    const status = await new Promise<number>((resolve, reject) => {
      shell.on("error", reject).on("close", (code) => resolve(code ?? 255));
    });
    server.close();
    rmSync(bin, { recursive: true });
    if (failure !== undefined) throw failure;
    return status;
  },
};
