import { createLog } from "../../../agent/host/log";
import { runAgent } from "../../../agent/worker/agent";
import { ec2Cloud } from "../../../agent/worker/cloud";
import type { ControlPlaneClient } from "../../../agent/worker/control-plane-client";
import type { CdcStatus, DaemonApi } from "../../../agent/worker/daemon/daemon-api";
import type { DaemonEnd, DaemonHost, DaemonRecord } from "../../../agent/worker/daemon/daemon-host";
import { daemonQuirks } from "../../../agent/worker/daemon/quirks";
import type { Grant } from "../../../control-plane/protocol";
import { seededRandom } from "../../../scripts/seeded-random";
import { longForm } from "../../support/long-form";
import { INSTANCE, INSTANCE_CONFIG } from "./instance-config";
import { grantOf } from "./jobs/supervised";
import { type ScaleInGroup, scaleInGroup } from "./scale-in-group";

const SCHEDULES = longForm(150, 10_000);
const SEED = 33;
const STEP_MS = 500;
/** What happens in a schedule happens in its first minute. */
const EVENTS_STEPS = 120;
const LAST_STEP = 2_000;
const SLOTS = 2;

jest.setTimeout(longForm(60_000, 3_600_000));
beforeEach(() => jest.useFakeTimers({ doNotFake: ["nextTick", "queueMicrotask", "setImmediate"] }));
afterEach(() => jest.useRealTimers());

/** All that waits for no time is done. */
const pass = async (ms: number) => {
  jest.advanceTimersByTime(ms);
  await new Promise((resolve) => setImmediate(resolve));
};

/** An instance's worker as it is shipped, in that group: made up are the group, the control plane and the daemons. */
function startWorker({ aws, metadata }: ScaleInGroup, starts: () => void) {
  const lines: string[] = [];
  const log = createLog((line) => void lines.push(line));
  const grants: Grant[] = [];
  const daemons = new Map<number, { record: DaemonRecord; end: (end: DaemonEnd) => void }>();
  let port = 20_000;
  const host: DaemonHost = {
    survivors: async () => [],
    start: async ({ record }) => {
      starts();
      const ended = new Promise<DaemonEnd>((resolve) => {
        const end = (how: DaemonEnd) => {
          daemons.delete(record.port);
          resolve(how);
        };
        daemons.set(record.port, { record, end });
      });
      return {
        ...{ record, secrets: [], ended },
        signal: async (signal) => daemons.get(record.port)?.end({ status: null, signal }),
        memoryBytes: async () => undefined,
        lastLines: async () => [],
        forget: async () => {},
      };
    },
  };
  const api = (ofPort: number): DaemonApi => ({
    health: async () => ({ status: "serving", stage: "cdc", stage_detail: "", error_detail: "" }),
    status: async () => {
      const { slotName: slot_name, tables } = daemons.get(ofPort)?.record ?? {};
      return { state: "running", confirmed_lsn: 1n, pending_events: 0, slot_name, tables } as CdcStatus;
    },
    figures: async () => undefined,
    pause: async () => true,
    resume: async () => true,
    stop: async () => {
      daemons.get(ofPort)?.end({ status: 0, signal: null });
      return true;
    },
  });
  const answers: Readonly<Record<string, () => object>> = {
    register: () => ({ protocol: 1, token: "session", progressMs: 30_000, metricsMs: 60_000 }),
    heartbeat: () => ({ leaseMs: 60_000, nextMs: 10_000, actions: [] }),
    claim: () => ({ grants: grants.splice(0, SLOTS - daemons.size), nextMs: 1_000, actions: [] }),
  };
  const post = async (name: string) => answers[name]?.() ?? {};
  const config = { ...INSTANCE_CONFIG, slots: SLOTS };
  const stop = new AbortController();
  const { drain, pool } = config;
  const running = runAgent(
    {
      worker: { workerId: INSTANCE, agentVersion: "1", daemonVersion: "0.1.0", pool, labels: {}, slots: SLOTS },
      drain,
    },
    {
      ...{ log, host, api },
      ports: { take: async () => port++, keep: () => {}, putBack: () => {} },
      controlPlane: { post } as unknown as ControlPlaneClient,
      deploymentToken: async () => "token",
      quirks: daemonQuirks({ kind: "reference", version: "0.1.0" }),
      holdLease: () => {},
      notify: async () => {},
      watchdogPeriodMs: undefined,
      cloud: ec2Cloud({ config, instanceId: INSTANCE, aws, imds: { get: async (path) => metadata.get(path) }, log }),
    },
    { stop: stop.signal, handOver: new AbortController().signal },
  );
  return {
    running,
    stop: () => stop.abort(),
    grant: () => void grants.push(grantOf()),
    endOne: () => [...daemons.values()][0]?.end({ status: 1, signal: null }),
    isBusy: () => daemons.size > 0,
    /** Whether the agent has said so. */
    isDraining: () => lines.some((line) => line.includes('"draining"')),
  };
}

test(`R33: no job starts or runs on an instance that is not protected and does not drain, with one call per change, in ${SCHEDULES} random schedules (seed ${SEED})`, async () => {
  const random = seededRandom(SEED);
  let started = 0;
  let chosen = 0;
  for (let schedule = 0; schedule < SCHEDULES; schedule++) {
    // GIVEN
    const group = scaleInGroup(random);
    const faults: string[] = [];
    const worker = startWorker(group, () => {
      started += 1;
      if (!group.isProtected && !worker.isDraining()) faults.push("started without protection");
      if (group.isChosen) faults.push("started where a scale-in had chosen the instance");
    });
    let isOver = false;
    void worker.running.then(() => {
      isOver = true;
    });

    // WHEN grants, ends, scale-ins, a rebalance and a replacement come in some order
    for (let step = 0; step < EVENTS_STEPS && !isOver; step++) {
      const event = random();
      if (event < 0.08) worker.grant();
      else if (event < 0.14) worker.endOne();
      else if (event < 0.17) group.scaleIn();
      else if (event < 0.171) group.recommendRebalance();
      else if (event < 0.172) group.replace();
      await pass(STEP_MS);
      if (worker.isBusy() && !group.isProtected && !worker.isDraining()) faults.push("runs without protection");
    }
    if (group.isChosen) chosen += 1;
    worker.stop();
    for (let step = 0; step < LAST_STEP && !isOver; step++) await pass(STEP_MS);

    // THEN each call changed something, but for those of an agent that cannot know what holds: at first, and after a call that failed
    expect([schedule, isOver, faults]).toEqual([schedule, true, []]);
    expect([schedule, group.idleCalls <= 1 + group.failedCalls]).toEqual([schedule, true]);
  }
  expect(started).toBeGreaterThan(SCHEDULES);
  expect(chosen).toBeGreaterThan(SCHEDULES / 4);
});
