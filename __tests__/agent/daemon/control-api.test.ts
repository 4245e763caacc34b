import { connect } from "node:net";
import { controlApi, serveControlApi } from "../../../agent/daemon/control-api";
import { Lifecycle, type State, transition } from "../../../agent/daemon/lifecycle";
import { startSampler } from "../../../agent/daemon/metrics";

function api(prepare: (lifecycle: Lifecycle) => void = () => {}) {
  const lifecycle = new Lifecycle();
  prepare(lifecycle);
  const sampler = startSampler(lifecycle);
  sampler.stop();
  const app = controlApi({ slotName: "job_7", tables: ["a", "b"], lifecycle, latestSample: () => sampler.latest });
  const request = async (method: string, path: string, body?: string) => {
    const response = await app.request(`/api/v1${path}`, { method, ...(body === undefined ? {} : { body }) });
    return { status: response.status, text: await response.text() };
  };
  return { app, lifecycle, request };
}

/** A shape: `typeof` of every value, with those of objects in lists. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(shape);
  if (value === null || typeof value !== "object") return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shape(item)]));
}

const ACTION = { success: "boolean", message: "string" };

test.each<[string, string, string | undefined, unknown]>([
  ["GET", "/health", undefined, { status: "string", stage: "string", stage_detail: "string", error_detail: "string" }],
  [
    "GET",
    "/cdc/status",
    undefined,
    {
      state: "string",
      current_lsn: "number",
      confirmed_lsn: "number",
      pending_events: "number",
      slot_name: "string",
      tables: ["string"],
      snapshot_active: "boolean",
      snapshot_chunks_total: "number",
      snapshot_chunks_done: "number",
      snapshot_rows_synced: "number",
      table_progress: [{ table_name: "string", chunks_total: "number", chunks_done: "number", rows_synced: "number" }],
      snapshot_paused: "boolean",
    },
  ],
  [
    "GET",
    "/cdc/metrics?samples=3&interval_ms=1000",
    undefined,
    [
      {
        timestamp: "number",
        events_per_second: "number",
        lag_bytes: "number",
        lag_events: "number",
        memory_bytes: "number",
        total_events_processed: "number",
        total_batches_sent: "number",
        cpu_millicores: "number",
        replication_lag_ms: "number",
        schema_evolution_skipped_total: "number",
      },
    ],
  ],
  ["POST", "/cdc/pause", undefined, ACTION],
  ["POST", "/cdc/resume", undefined, ACTION],
  ["POST", "/cdc/drain", undefined, ACTION],
  ["POST", "/cdc/stop", '{"skip_slot_cleanup":true}', ACTION],
  ["POST", "/cdc/reload", '{"flush_size":1}', ACTION],
  ["POST", "/cdc/snapshot/start", undefined, ACTION],
  ["POST", "/cdc/snapshot/pause", undefined, ACTION],
  ["POST", "/cdc/snapshot/resume", undefined, ACTION],
])("%s %s answers in its documented shape", async (method, path, body, expected) => {
  const { request } = api((lifecycle) => {
    lifecycle.enter("snapshot", "Running snapshot");
    lifecycle.tableProgress.set("a", { chunksTotal: 4, chunksDone: 1, rowsSynced: 100 });
  });
  const { status, text } = await request(method, path, body);
  expect(status).toBe(200);
  expect(shape(JSON.parse(text))).toEqual(expected);
});

test("metrics come as many as asked for, and bad questions are told apart", async () => {
  const { request } = api();
  expect(JSON.parse((await request("GET", "/cdc/metrics")).text)).toHaveLength(1);
  expect(JSON.parse((await request("GET", "/cdc/metrics?samples=60")).text)).toHaveLength(60);
  for (const samples of ["0", "61", "x", "1.5"]) {
    expect(await request("GET", `/cdc/metrics?samples=${samples}`)).toEqual({
      status: 400,
      text: "samples must be between 1 and 60",
    });
  }
  expect(await request("GET", "/cdc/metrics?interval_ms=0")).toEqual({ status: 400, text: "interval_ms must be > 0" });
});

test("an LSN of 64 bits is a JSON number with all its digits", async () => {
  const { request } = api((lifecycle) => {
    lifecycle.confirmedLsn = 2n ** 63n + 1n;
  });
  expect((await request("GET", "/cdc/status")).text).toContain('"confirmed_lsn":9223372036854775809,');
});

test.each([
  ["a daemon at work", () => {}, "serving"],
  ["a daemon that was stopped", (lifecycle: Lifecycle) => void lifecycle.command("stop"), "not_serving"],
  [
    "a daemon with an error",
    (lifecycle: Lifecycle) => {
      lifecycle.errorDetail = "connect ECONNREFUSED";
    },
    "not_serving",
  ],
])("health of %s", async (_, prepare, status) => {
  const answer = await api(prepare).request("GET", "/health");
  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.text)).toMatchObject({ status });
});

test.each<[State, Record<string, State | undefined>]>([
  ["running", { pause: "paused", resume: undefined, drain: "draining", stop: "stopped" }],
  ["paused", { pause: undefined, resume: "running", drain: "draining", stop: "stopped" }],
  ["draining", { pause: undefined, resume: undefined, drain: undefined, stop: "stopped" }],
  ["stopped", { pause: undefined, resume: undefined, drain: undefined, stop: undefined }],
])("what a %s daemon may be told", (state, expected) => {
  for (const command of ["pause", "resume", "drain", "stop"] as const) {
    expect([command, transition(state, command)]).toEqual([command, expected[command]]);
  }
});

test("a body that is not understood changes nothing", async () => {
  const { lifecycle, request } = api();
  for (const body of ["[", "1", "null", '{"skip_slot_cleanup":1}', `{"x":"${"y".repeat(20_000)}"}`]) {
    const { status, text } = await request("POST", "/cdc/stop", body);
    expect([400, 413]).toContain(status);
    expect(JSON.parse(text)).toMatchObject({ success: false });
  }
  expect(lifecycle).toMatchObject({ state: "running", dropSlot: false });
  expect((await request("GET", "/cdc/stop")).status).toBe(404);
});

test("a stop that keeps the slot stays one, whatever is asked afterwards", async () => {
  const { lifecycle, request } = api();
  await request("POST", "/cdc/stop", '{"skip_slot_cleanup":true}');

  const { text } = await request("POST", "/cdc/stop", '{"skip_slot_cleanup":false}');

  expect(JSON.parse(text)).toEqual({ success: false, message: "already stopped" });
  expect(lifecycle.dropSlot).toBe(false);
});

test("it listens on the loopback interface's own address alone", async () => {
  const { port, close } = await serveControlApi(api().app, 0);

  expect((await fetch(`http://127.0.0.1:${port}/api/v1/health`)).status).toBe(200);
  await expect(fetch(`http://127.0.0.2:${port}/api/v1/health`)).rejects.toThrow("fetch failed");
  await close();
});

test.each(["", "POST /api/v1/cdc/stop HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n"])(
  "a client that has sent %j and no more does not keep it from closing",
  async (sent) => {
    const { port, close } = await serveControlApi(api().app, 0);
    const client = connect(port, "127.0.0.1", () => client.write(sent));
    const gone = new Promise((done) => client.on("error", () => {}).once("close", done));
    // An answer to a later connection: the server has taken this one.
    expect((await fetch(`http://127.0.0.1:${port}/api/v1/health`)).status).toBe(200);

    await close();

    await gone;
  },
);
