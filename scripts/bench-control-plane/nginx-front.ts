import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { freePort } from "../../control-plane/store/free-port";
import type { ServerProcess } from "../chaos/server-process";
import { until } from "../chaos/until";
import { certificateOf } from "../rehearse/fleet/gate";
import { openFilesLimit, processesFor } from "./open-files";
import { FILES_PER_CONNECTION, type TlsFront } from "./tls-front";

const START_DEADLINE_MS = 30_000;

/** Whether nginx is installed. */
export function hasNginx(): boolean {
  try {
    execFileSync("nginx", ["-v"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Starts nginx with as many workers as so many connections need, which ends TLS as it does for other servers. @throws Error with its log */
export async function startNginxFront(
  server: ServerProcess,
  connections: number,
  directory: string,
): Promise<TlsFront> {
  const { key, certificate } = certificateOf("127.0.0.1");
  const port = await freePort();
  const [log, configuration] = ["nginx.log", "nginx.conf"].map((name) => join(directory, name)) as [string, string];
  writeFileSync(join(directory, "nginx.pem"), key + certificate, { mode: 0o600 });
  writeFileSync(configuration, configurationOf(port, server, connections, directory));
  const nginx = spawn("nginx", ["-p", directory, "-e", log, "-c", configuration], { stdio: "ignore", detached: true });
  const ended = once(nginx, "exit");
  const url = `https://127.0.0.1:${port}`;
  try {
    await until("nginx listens", START_DEADLINE_MS, async () => (await isListening(port)) || undefined);
  } catch (cause) {
    nginx.kill();
    throw new Error(`nginx did not start:\n${readFileSync(log, "utf8")}`, { cause });
  }
  const pid = nginx.pid ?? 0;
  const workers = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  return {
    addresses: [{ url, secureContext: createSecureContext({ ca: certificate }) }],
    pids: [pid, ...workers],
    authority: certificate,
    stop: async () => {
      nginx.kill();
      await ended;
    },
  };
}

/** Connections rest for as long as a copy lets them, and a parked claim's answer is waited for longer than it takes. */
function configurationOf(port: number, server: ServerProcess, connections: number, directory: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${join(directory, name)};`,
  );
  return `${process.getuid?.() === 0 ? "user root;" : ""}
daemon off;
pid ${join(directory, "nginx.pid")};
worker_processes ${processesFor(connections * FILES_PER_CONNECTION)};
events { worker_connections ${Math.min(openFilesLimit(), (connections + 500) * FILES_PER_CONNECTION)}; }
http {
  access_log off;
  ${temporary.join("\n  ")}
  upstream copy { server ${new URL(server.url).host}; keepalive ${connections}; }
  server {
    listen 127.0.0.1:${port} ssl reuseport;
    ssl_certificate nginx.pem;
    ssl_certificate_key nginx.pem;
    keepalive_timeout 75s;
    location / {
      proxy_pass http://copy;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_read_timeout 75s;
    }
  }
}
`;
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  return await new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
  }).finally(() => socket.destroy());
}
