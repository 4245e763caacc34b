import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { type PrivateCluster, startPrivateCluster } from "../../../control-plane/store/private-cluster";

const END = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;

/** A server of a test's own, which it may end, freeze and start again on the same port. */
export interface Server {
  /** Of database `postgres`. */
  readonly url: string;
  readonly data: string;
  query(text: string): Promise<Record<string, unknown>[]>;
  /** Resolves when the server has ended. */
  end(how?: keyof typeof END): Promise<void>;
  start(): Promise<void>;
  /** Stops every process of the server, as if its machine stood still. */
  freeze(): void;
  thaw(): void;
  remove(): Promise<void>;
}

async function startServer(settings: Readonly<Record<string, string>> = {}): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-server-"));
  chmodSync(folder, 0o755);
  const directory = join(folder, "cluster");
  const data = join(directory, "data");
  const all = { fsync: "off", wal_level: "logical", max_wal_senders: "10", max_replication_slots: "10", ...settings };
  let cluster: PrivateCluster = await startPrivateCluster({ directory, settings: all });
  const { url } = cluster;
  const port = Number(new URL(url).port);
  const postmaster = () => Number(readFileSync(join(data, "postmaster.pid"), "utf8").split("\n")[0]);
  const children = (pid: number) =>
    execFileSync("ps", ["-o", "pid=", "--ppid", `${pid}`], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map(Number);
  const frozen: number[] = [];
  const thaw = () => {
    for (const pid of frozen.splice(0)) process.kill(pid, "SIGCONT");
  };
  const end = async (how: keyof typeof END = "fast") => {
    process.kill(postmaster(), END[how]);
    await cluster.ended;
  };
  return {
    url,
    data,
    query: async (text) => {
      const client = new Client({ connectionString: url });
      client.on("error", () => {});
      await client.connect();
      try {
        return (await client.query(text)).rows;
      } finally {
        await client.end();
      }
    },
    end,
    start: async () => {
      cluster = await startPrivateCluster({ directory, port, settings: all });
    },
    freeze: () => {
      const pid = postmaster();
      // First who could start others.
      for (const next of [pid, ...children(pid)]) {
        process.kill(next, "SIGSTOP");
        frozen.push(next);
      }
    },
    thaw,
    remove: async () => {
      thaw();
      await cluster.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A server of its own for each test. */
export function useServer(): Omit<Server, "remove"> {
  let server: Server;
  beforeEach(async () => {
    server = await startServer();
  });
  afterEach(() => server.remove());
  return {
    get url() {
      return server.url;
    },
    get data() {
      return server.data;
    },
    query: (text) => server.query(text),
    end: (how) => server.end(how),
    start: () => server.start(),
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
  };
}
