import { createLog } from "../../../agent/host/log";
import { sleep } from "../../../agent/host/waiting";
import type { DaemonApi } from "../../../agent/worker/daemon/daemon-api";
import type { DaemonEnd, DaemonProcess } from "../../../agent/worker/daemon/daemon-host";
import { PortPool } from "../../../agent/worker/daemon/free-port";
import { daemonQuirks } from "../../../agent/worker/daemon/quirks";
import { JobSupervisor } from "../../../agent/worker/jobs/job-supervisor";
import { streamingStatus } from "../../support/streaming-status";
import { recordOf } from "./daemon/daemon-record";
import { RecordingSource } from "./jobs/supervised";

const JOBS = 100;
const WITHIN_MS = 10_000;
/** What a daemon takes to say who it is, of a machine that has much to do. */
const ANSWER_MS = 1_000;
const FIRST_PORT = 21_000;
const FOREIGN = FIRST_PORT + 42;

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** A daemon that an earlier life of the agent has started; `signals` are those it was sent. */
function survivor(port: number) {
  const signals: string[] = [];
  let end: (end: DaemonEnd) => void = () => {};
  const daemon: DaemonProcess = {
    record: recordOf({ port, slotName: `slot-${port}` }),
    secrets: [],
    ended: new Promise((resolve) => {
      end = resolve;
    }),
    signal: async (signal) => {
      signals.push(signal);
      end({ status: null, signal });
    },
    memoryBytes: async () => undefined,
    lastLines: async () => [],
    forget: async () => {},
  };
  return { daemon, signals };
}

/** Each answer takes its time; who answers at one port is another daemon than the agent has started there. */
function slowApi(port: number): DaemonApi {
  const answer = async <T>(value: T): Promise<T> => {
    await sleep(ANSWER_MS);
    return value;
  };
  return {
    health: () => answer({ status: "serving", stage: "cdc", stage_detail: "", error_detail: "" }),
    status: () =>
      answer(streamingStatus({ slot_name: port === FOREIGN ? "another" : `slot-${port}`, tables: ["orders"] })),
    figures: () => answer(undefined),
    pause: () => answer(true),
    resume: () => answer(true),
    stop: () => answer(true),
  };
}

test(`R30: of ${JOBS} daemons that take ${ANSWER_MS} ms for each answer, every one is taken up by its identity within ${WITHIN_MS} ms`, async () => {
  const survivors = Array.from({ length: JOBS }, (_, number) => survivor(FIRST_PORT + number));
  const jobs = new JobSupervisor(JOBS, {
    host: {
      start: () => Promise.reject(new Error("nothing is to be started")),
      survivors: async () => survivors.map(({ daemon }) => daemon),
    },
    source: new RecordingSource(),
    lease: { valid: true, lapses: 0 },
    api: slowApi,
    ports: new PortPool(),
    quirks: daemonQuirks({ kind: "dbmazz", version: "2.4.0" }),
    log: createLog(() => {}),
    admit: async () => true,
    progressMs: () => 30_000,
    changed: () => {},
  });

  // WHEN
  const adopted = jobs.adopt();
  await jest.advanceTimersByTimeAsync(WITHIN_MS);

  // THEN
  const known = jobs.running().filter(({ status }) => status === "running");
  const ours = survivors.filter(({ daemon }) => daemon.record.port !== FOREIGN);
  expect(known.map(({ jobId }) => jobId).sort()).toEqual(ours.map(({ daemon }) => daemon.record.jobId).sort());
  expect(ours.flatMap(({ signals }) => signals)).toEqual([]);
  expect(survivors.find(({ daemon }) => daemon.record.port === FOREIGN)?.signals).toEqual(["SIGKILL"]);
  await adopted;
});
