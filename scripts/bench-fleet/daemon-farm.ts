/** Answers as many daemons as connect to it: a line of each names its port, its slot and its tables. Prints the port it listens on. */
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { createInterface } from "node:readline";

const HEALTH = { status: "serving", stage: "cdc", stage_detail: "Replicating", error_detail: "" };
const FIGURES = [
  {
    events_per_second: 1,
    lag_bytes: 0,
    memory_bytes: 0,
    total_events_processed: 1,
    cpu_millicores: 1,
    replication_lag_ms: 1,
  },
];

function open(port: number, slot: string, tables: readonly string[]): void {
  const status = {
    state: "running",
    confirmed_lsn: 1,
    pending_events: 0,
    slot_name: slot,
    tables,
    snapshot_active: false,
    snapshot_chunks_done: 0,
  };
  createHttpServer(({ url = "" }, answer) => {
    const body = url.includes("health")
      ? HEALTH
      : url.includes("status")
        ? status
        : url.includes("metrics")
          ? FIGURES
          : { success: true };
    answer.setHeader("content-type", "application/json").end(JSON.stringify(body));
  }).listen(port, "127.0.0.1");
}

const server = createServer((socket) => {
  socket.on("error", () => {});
  createInterface({ input: socket }).on("line", (line) => {
    const [port = "", slot = "", tables = ""] = line.split(" ");
    open(Number(port), slot, tables.split(","));
  });
});
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
