import type { Aws, AwsParameters } from "../../../agent/host/aws";
import { createLog } from "../../../agent/host/log";
import { daemonApi } from "../../../agent/worker/daemon/daemon-api";
import type { DaemonEnd, DaemonHost } from "../../../agent/worker/daemon/daemon-host";
import { daemonQuirks } from "../../../agent/worker/daemon/quirks";
import { JobSupervisor } from "../../../agent/worker/jobs/job-supervisor";
import { scaleInProtection } from "../../../agent/worker/scale-in-protection";
import { seededRandom } from "../../../scripts/seeded-random";
import { grantOf, RecordingSource } from "./jobs/supervised";

const SCHEDULES = 10_000;
const SEED = 33;
const log = createLog(() => {});
jest.setTimeout(180_000);
const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
};

/** A group that takes some turns to answer, and sometimes fails. */
function group(random: () => number) {
  const state = { protected: false, calls: [] as boolean[], changes: 0 };
  const call = async (_service: string, _action: string, params: AwsParameters) => {
    await turns(Math.floor(random() * 5));
    if (random() < 0.1) throw new Error("Throttling");
    const wanted = params["ProtectedFromScaleIn"] === true;
    state.calls.push(wanted);
    if (state.protected !== wanted) state.changes += 1;
    state.protected = wanted;
    return {};
  };
  return { state, aws: { region: "us-east-1", call } as unknown as Aws };
}

test(`R33: no job starts on an instance that is not protected, with one call per change, in ${SCHEDULES} random schedules (seed ${SEED})`, async () => {
  const random = seededRandom(SEED);
  let started = 0;
  let unprotected = 0;
  for (let schedule = 0; schedule < SCHEDULES; schedule++) {
    // GIVEN a worker whose daemons run until the schedule ends them
    const { state, aws } = group(random);
    const protection = scaleInProtection(aws, "workers", "i-1", log);
    const running: (() => void)[] = [];
    let draining = false;
    const host: DaemonHost = {
      survivors: async () => [],
      start: async ({ record }) => {
        started += 1;
        if (!state.protected && !draining) unprotected += 1;
        const ended = new Promise<DaemonEnd>((resolve) => {
          running.push(() => resolve({ status: 1, signal: null }));
        });
        return {
          record,
          secrets: [],
          ended,
          signal: async () => {},
          memoryBytes: async () => undefined,
          lastLines: async () => [],
          forget: async () => {},
        };
      },
    };
    const jobs: JobSupervisor = new JobSupervisor(2, {
      host,
      source: new RecordingSource(),
      lease: { valid: true, lapses: 0 },
      api: daemonApi,
      ports: { take: async () => 1, keep: () => {}, putBack: () => {} },
      quirks: daemonQuirks({ kind: "reference", version: "0.1.0" }),
      log,
      progressMs: () => 1_000,
      admit: async () => (await protection.raise()) && !draining,
      changed: () => {
        if (jobs.used === 0) void protection.drop();
      },
    });

    // WHEN grants, ends, idleness and a recommendation to rebalance come in some order
    for (let events = 2 + Math.floor(random() * 6); events > 0; events--) {
      const event = random();
      if (event < 0.5 && !draining) jobs.start(grantOf(), 0);
      else if (event < 0.8) running.shift()?.();
      else if (event < 0.9 && jobs.used === 0) void protection.drop();
      else if (event >= 0.97) {
        draining = true;
        void protection.drop();
      }
      await turns(Math.floor(random() * 6));
    }
    await turns(60);
    for (const end of running) end();
    await turns(60);

    // THEN each call changed something, but for the first: nobody knows what an earlier agent left
    expect(state.calls.length - (state.calls[0] === false ? 1 : 0)).toBeLessThanOrEqual(state.changes);
    expect(jobs.used).toBe(0);
  }
  expect(unprotected).toBe(0);
  expect(started).toBeGreaterThan(SCHEDULES / 2);
});
