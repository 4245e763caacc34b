import { createLog } from "../../../../agent/host/log";
import { runAgent } from "../../../../agent/worker/agent";
import { controlPlaneClient } from "../../../../agent/worker/control-plane-client";
import { daemonApi } from "../../../../agent/worker/daemon/daemon-api";
import type { DaemonHost } from "../../../../agent/worker/daemon/daemon-host";
import { daemonQuirks } from "../../../../agent/worker/daemon/quirks";
import { Operator, startCopy } from "../../../control-plane/api/clients";
import { startTestPostgres, type TestPostgres } from "../../../support/postgres";
import { eventually } from "../../daemon/eventually";

jest.setTimeout(300_000);

const JOBS = 1_000;
const SLOTS = 100;
let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres.stop());

/** An agent whose daemons have copied their tables at once, and note who started them. */
function startAgent(workerId: string, url: string, deploymentToken: string, starts: Map<string, string[]>) {
  const stop = new AbortController();
  const running = new Set<string>();
  let most = 0;
  const host: DaemonHost = {
    survivors: async () => [],
    start: async ({ record }) => {
      starts.set(record.jobId, [...(starts.get(record.jobId) ?? []), workerId]);
      running.add(record.jobId);
      most = Math.max(most, running.size);
      return {
        record,
        secrets: [],
        ended: Promise.resolve({ status: 0, signal: null }),
        signal: async () => {},
        memoryBytes: async () => undefined,
        lastLines: async () => [],
        forget: async () => void running.delete(record.jobId),
      };
    },
  };
  const ended = runAgent(
    {
      worker: { workerId, agentVersion: "1", daemonVersion: "0.1.0", pool: "default", labels: {}, slots: SLOTS },
      drain: { mode: "handoff", deadlineSeconds: 60 },
    },
    {
      controlPlane: controlPlaneClient(url),
      deploymentToken: async () => deploymentToken,
      log: createLog(() => {}),
      host,
      ports: { take: async () => 1, keep: () => {}, putBack: () => {} },
      quirks: daemonQuirks({ kind: "reference", version: "0.1.0" }),
      api: daemonApi,
      holdLease: () => {},
      notify: async () => {},
      watchdogPeriodMs: undefined,
      cloud: undefined,
    },
    { stop: stop.signal, handOver: new AbortController().signal },
  );
  return {
    most: () => most,
    leave: async () => {
      stop.abort();
      await ended;
    },
  };
}

test(`R24: two agents that claim the same ${JOBS} jobs start each of them once, and never more than they have slots for`, async () => {
  const { url, pool } = await postgres.freshDatabase();
  const copy = await startCopy(url);
  const operator = await Operator.create(copy.controlPlane.url, url);
  await operator.createJob("first", { options: { INITIAL_SNAPSHOT_ONLY: "true" }, snapshot: true });
  // The others are as the first, which the operator described.
  await pool.query(
    `insert into jobs select (jsonb_populate_record(j, jsonb_build_object('id', gen_random_uuid(), 'name', 'job-' || n))).*
     from jobs j, generate_series(2, ${JOBS}) n`,
  );
  const starts = new Map<string, string[]>();
  const agents = ["one", "other"].map((name) =>
    startAgent(name, copy.controlPlane.url, operator.deploymentToken, starts),
  );

  await eventually(
    "all have completed",
    async () => {
      const { rows } = await pool.query("select state, count(*)::int as jobs from jobs group by state");
      expect(rows).toEqual([{ state: "completed", jobs: JOBS }]);
    },
    240_000,
  );
  for (const agent of agents) await agent.leave();
  await copy.controlPlane.stop();

  expect(starts.size).toBe(JOBS);
  expect([...starts.values()].filter((by) => by.length !== 1)).toEqual([]);
  for (const agent of agents) expect(agent.most()).toBeLessThanOrEqual(SLOTS);
});
