import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { type Connection, createConnection } from "mysql2/promise";
import { freePorts, loopbackAddresses } from "../../scripts/rolling-update/simulator/loopback";
import { eventually } from "./eventually";

export interface TestMariadb {
  readonly host: string;
  readonly port: number;
  /** The first connection of its administrator. */
  readonly admin: Connection;
  stop(): Promise<void>;
}

/** A MariaDB server for one test file, with settings beside those that keep it apart. */
export async function startTestMariadb(settings: Readonly<Record<string, string>> = {}): Promise<TestMariadb> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-mariadb-"));
  const data = join(directory, "data");
  mkdirSync(data);
  const [host = ""] = loopbackAddresses(1);
  const [port = 0] = await freePorts([host], 1);
  const common = ["--no-defaults", `--datadir=${data}`, `--user=${userInfo().username}`];
  const install = ["--auth-root-authentication-method=normal", "--skip-test-db"];
  execFileSync("mariadb-install-db", [...common, ...install], { stdio: "pipe" });
  const all = { ...settings, bind_address: host, port: `${port}`, socket: join(directory, "socket") };
  const flags = Object.entries(all).map(([name, value]) => `--${name}=${value}`);
  const server = spawn("mariadbd", [...common, ...flags, "--skip-name-resolve"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  server.stderr.on("data", (text: Buffer) => {
    said += text;
  });
  const admin = await eventually(async () => {
    if (server.exitCode !== null) throw new Error(`mariadbd ended: ${said}`);
    return await createConnection({ socketPath: all.socket, user: "root" }).catch(() => undefined);
  });
  return {
    host,
    port,
    admin,
    stop: async () => {
      await admin.end();
      await ended(server);
      rmSync(directory, { recursive: true });
    },
  };
}

async function ended(server: ChildProcess): Promise<void> {
  const end = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGTERM");
  await end;
}
