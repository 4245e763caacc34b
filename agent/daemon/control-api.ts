import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type ServerType, serve } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import { toJson } from "./json";
import type { Command, Lifecycle } from "./lifecycle";
import type { Sample } from "./metrics";

export interface ControlApiProps {
  readonly slotName: string;
  readonly tables: readonly string[];
  readonly lifecycle: Lifecycle;
  readonly latestSample: () => Sample;
}

const MAX_BODY_BYTES = 16 * 1024;

/** Answers that are under way are sent until then; a client that says nothing keeps no process. */
const CLOSE_DEADLINE_MS = 500;

const StopBody = z.strictObject({ skip_slot_cleanup: z.boolean().default(true) });
const MetricsQuery = z.object({
  samples: z.coerce.number().int().min(1).max(60).default(1),
  interval_ms: z.coerce.number().int().min(1).default(1000),
});

const REFUSED: Readonly<Record<Command, string>> = {
  pause: "only a running daemon can pause",
  resume: "only a paused daemon can resume",
  drain: "only a running or paused daemon can drain",
  stop: "already stopped",
};

/** The daemon's HTTP API: what dbmazz answers, in its shapes. Differences in meaning stand in docs/reference-daemon.md. */
export function controlApi({ slotName, tables, lifecycle, latestSample }: ControlApiProps): Hono {
  const app = new Hono();
  const json = (c: Context, value: unknown, status: 200 | 400 | 404 | 413 | 500 = 200) =>
    c.body(toJson(value), status, { "content-type": "application/json" });
  const done = (c: Context, message: string) => json(c, { success: true, message });
  const refused = (c: Context, message: string, status: 200 | 400 | 404 | 413 | 500 = 200) =>
    json(c, { success: false, message }, status);
  const command = (c: Context, name: Command, message: string) =>
    lifecycle.command(name) ? done(c, message) : refused(c, `${REFUSED[name]}; it is ${lifecycle.state}`);

  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: (c) => refused(c, "the body is too large", 413) }));
  app.notFound((c) => refused(c, `there is no ${c.req.method} ${c.req.path}`, 404));
  app.onError((error, c) => refused(c, error.message, 500));

  app.get("/api/v1/health", (c) => {
    const failing = lifecycle.errorDetail !== "" || lifecycle.state === "stopped";
    return json(c, {
      status: failing ? "not_serving" : "serving",
      stage: lifecycle.stage,
      stage_detail: lifecycle.stageDetail,
      error_detail: lifecycle.errorDetail,
    });
  });

  app.get("/api/v1/cdc/status", (c) => {
    const progress = [...lifecycle.tableProgress].map(([table_name, { chunksTotal, chunksDone, rowsSynced }]) => ({
      table_name,
      chunks_total: chunksTotal,
      chunks_done: chunksDone,
      rows_synced: rowsSynced,
    }));
    const sum = (field: "chunks_total" | "chunks_done" | "rows_synced") =>
      progress.reduce((total, table) => total + table[field], 0);
    const active = lifecycle.stage === "snapshot";
    return json(c, {
      state: lifecycle.state,
      current_lsn: lifecycle.receivedLsn,
      confirmed_lsn: lifecycle.confirmedLsn,
      pending_events: lifecycle.pendingChanges,
      slot_name: slotName,
      tables,
      snapshot_active: active,
      snapshot_chunks_total: sum("chunks_total"),
      snapshot_chunks_done: sum("chunks_done"),
      snapshot_rows_synced: sum("rows_synced"),
      table_progress: active ? progress : [],
      snapshot_paused: lifecycle.snapshotPaused,
    });
  });

  app.get("/api/v1/cdc/metrics", (c) => {
    const query = MetricsQuery.safeParse(c.req.query());
    if (query.success) return json(c, Array(query.data.samples).fill(latestSample()));
    const samples = query.error.issues.some(({ path }) => path[0] === "samples");
    return c.text(samples ? "samples must be between 1 and 60" : "interval_ms must be > 0", 400);
  });

  app.post("/api/v1/cdc/pause", (c) => command(c, "pause", "Paused; the batch at hand is written first"));
  app.post("/api/v1/cdc/resume", (c) => command(c, "resume", "Resumed"));
  app.post("/api/v1/cdc/drain", (c) => command(c, "drain", "Draining to the end of the source's log; the slot stays"));
  app.post("/api/v1/cdc/stop", async (c) => {
    const body = StopBody.safeParse(parseJson((await c.req.text()) || "{}"));
    if (!body.success) return refused(c, 'the body must be {"skip_slot_cleanup": true or false}, or empty', 400);
    if (lifecycle.state === "stopped") return refused(c, REFUSED.stop);
    lifecycle.dropSlot = !body.data.skip_slot_cleanup;
    return command(c, "stop", lifecycle.dropSlot ? "Stopping; the slot will be dropped" : "Stopping; the slot stays");
  });
  app.post("/api/v1/cdc/reload", (c) => refused(c, "settings are read at start: stop the job and start it again"));

  app.post("/api/v1/cdc/snapshot/start", (c) => {
    if (lifecycle.stage === "snapshot") return done(c, "Snapshot already running");
    if (lifecycle.stage !== "cdc" || lifecycle.state !== "running") {
      return refused(c, "a snapshot starts only while the daemon replicates");
    }
    lifecycle.requestSnapshot();
    return done(c, "Snapshot starts after the batch at hand");
  });
  app.post("/api/v1/cdc/snapshot/pause", (c) => {
    if (lifecycle.stage !== "snapshot") return done(c, "No snapshot running");
    lifecycle.pauseSnapshot(true);
    return done(c, "Snapshot paused after the chunk at hand");
  });
  app.post("/api/v1/cdc/snapshot/resume", (c) => {
    if (lifecycle.state === "paused") return refused(c, "the daemon is paused: resume it instead");
    lifecycle.pauseSnapshot(false);
    return done(c, "Snapshot resumed");
  });
  return app;
}

/** Serves the API on the loopback interface alone: it has no authentication. Fails if the port is taken. */
export async function serveControlApi(app: Hono, port: number): Promise<{ port: number; close(): Promise<void> }> {
  const server = await new Promise<ServerType>((resolve, reject) => {
    const listening = serve({ fetch: app.fetch, port, hostname: "127.0.0.1" }, () => resolve(listening));
    listening.once("error", reject);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        const late = setTimeout(() => (server as Server).closeAllConnections(), CLOSE_DEADLINE_MS);
        server.close(() => {
          clearTimeout(late);
          resolve();
        });
        (server as Server).closeIdleConnections();
      }),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
