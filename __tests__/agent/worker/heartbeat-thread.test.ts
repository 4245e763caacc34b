import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { getPriority } from "node:os";
import { resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Nap } from "../../../agent/host/nap";
import { controlPlaneClient } from "../../../agent/worker/control-plane-client";
import { heartbeatsInThread } from "../../../agent/worker/heartbeat-thread";
import type { Beat, HeartbeatsEnd } from "../../../agent/worker/heartbeats";
import type { Response } from "../../../control-plane/protocol";
import { heartbeatPeriod } from "../../../scripts/bench-fleet/heartbeat-period";
import { type FakeControlPlane, json, refusal, startControlPlane } from "../../support/fake-control-plane";
import { inLongForm } from "../../support/long-form";
import { eventually } from "../daemon/eventually";

const SESSION: Response<"register"> = { protocol: 1, token: "session-token", progressMs: 30_000, metricsMs: 60_000 };
const PERIOD_MS = 50;
const WORDS_LAST_MS = 1_000;
const PATIENCE_MS = 30_000;
const JOB = { jobId: "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9", fence: 1, status: "running", phase: "streaming" } as const;

let plane: FakeControlPlane;
let leave: () => Promise<void>;

beforeEach(async () => {
  plane = await startControlPlane("deployment-token");
  plane.intercept = heartbeatsEvery(PERIOD_MS);
});
afterEach(async () => {
  await leave();
  await plane.close();
});

const heartbeatsEvery =
  (nextMs: number): FakeControlPlane["intercept"] =>
  ({ name }) =>
    name === "heartbeat" ? json(200, { leaseMs: 30_000, nextMs, actions: [] }) : undefined;
const heartbeats = () => plane.messagesOf("heartbeat");
const beatsReach = (count: number) =>
  eventually(`${count} heartbeats`, async () => expect(heartbeats().length).toBeGreaterThanOrEqual(count), PATIENCE_MS);

/** An agent whose loop speaks whenever the test lets it; `speaks` false is a loop that stands still. */
function startThread({ controlPlaneUrl = plane.endpoint, wordsLastMs = WORDS_LAST_MS } = {}) {
  const loop = { speaks: true, said: 0, answers: [] as number[], warnings: [] as string[], turns: 0 };
  const leaving = new AbortController();
  const nap = new Nap();
  const beat = (): Beat => {
    loop.said += 1;
    const number = loop.said;
    return {
      message: { state: "active", running: [{ ...JOB, detail: String(number) }], released: [] },
      answered: () => void loop.answers.push(number),
    };
  };
  const sendHeartbeats = heartbeatsInThread({
    controlPlaneUrl,
    program: resolve("dist/worker-agent.mjs"),
    wordsLastMs,
  });
  const ended: Promise<HeartbeatsEnd> = sendHeartbeats(
    SESSION,
    {
      beat,
      controlPlane: controlPlaneClient("http://127.0.0.1:1"),
      log: { warn: (message) => void loop.warnings.push(message) },
      sleep: async (delayMs, signal) => {
        const early = await nap.sleep(delayMs, signal);
        while (!loop.speaks && !signal.aborted) await pause(20);
        return early;
      },
      turn: () => {
        loop.turns += 1;
      },
      random: () => 1,
      now: () => performance.now(),
      status: async () => {},
    },
    leaving.signal,
  );
  leave = async () => {
    leaving.abort();
    await ended;
  };
  return { loop, ended, wake: () => nap.wake() };
}

test("R23: heartbeats leave from a thread, with the session's token and what the agent said last; it acts on the answers", async () => {
  const { loop } = startThread();
  await beatsReach(20);

  expect(new Set(heartbeats().map(({ token }) => token))).toEqual(new Set([SESSION.token]));
  expect(heartbeats().map(({ body }) => body.seq)).toEqual(heartbeats().map((_, index) => index + 1));
  const said = heartbeats().map(({ body }) => Number(body.running[0]?.detail));
  expect(said).toEqual([...said].sort((a, b) => a - b));
  await eventually("answers are handed over", async () => expect(loop.answers.length).toBeGreaterThanOrEqual(20));
  expect(loop.answers).toEqual(said.slice(0, loop.answers.length));
  expect(loop.turns).toBeGreaterThan(0);
});

test("R23: they leave while the agent's loop does not turn at all", async () => {
  const { url, count, stop } = await countingControlPlane();
  try {
    startThread({ controlPlaneUrl: url, wordsLastMs: PATIENCE_MS });
    await eventually("the session is open", async () => expect(count()).toBeGreaterThan(0), PATIENCE_MS);

    const before = count();
    const giveUpAt = performance.now() + PATIENCE_MS;
    while (count() < before + 5 && performance.now() < giveUpAt);

    expect(count()).toBeGreaterThanOrEqual(before + 5);
  } finally {
    await leave();
    await stop();
  }
});

/** Of each of this process's threads, see proc(5). */
const niceness = () =>
  readdirSync("/proc/self/task").map((thread) => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")")).split(" ")[17]);
  });

test("R23: the thread comes before others where the system allows that, and takes no other thread along", async () => {
  const wish = "try { os.setPriority(-14) } catch {} console.log(os.getPriority())";
  const allowed = Number(execFileSync(process.execPath, ["-e", wish], { encoding: "utf8" }));
  const usual = getPriority();

  startThread();
  await beatsReach(1);

  await eventually("it comes first", async () =>
    expect(niceness().filter((nice) => nice !== usual)).toEqual(allowed === usual ? [] : [allowed]),
  );
});

inLongForm(() =>
  test("R23: another process sees them keep their period within 10 % while 100 jobs log 10 MB/s and every core is busy", async () => {
    const beyond = (await heartbeatPeriod.run(() => {})).map(({ figures }) => figures["beyond 10 %"]);
    expect(beyond.length).toBeGreaterThanOrEqual(8);
    // After each row of the agent's comes one of a program that does nothing else: where that one cannot, the machine is not fit to tell.
    const rows = (first: number) => beyond.filter((_, row) => row % 2 === first);
    expect({ bare: rows(1), agent: rows(0) }).toEqual({ bare: rows(1).map(() => 0), agent: rows(0).map(() => 0) });
  }, 900_000),
);

/** A control plane in a thread of its own, which answers and counts heartbeats also while this thread does neither. */
async function countingControlPlane() {
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const thread = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     const answer = JSON.stringify({ leaseMs: 30_000, nextMs: ${PERIOD_MS}, actions: [] });
     const server = require("node:http").createServer((request, response) => {
       Atomics.add(workerData, 0, 1);
       request.resume().on("end", () => response.end(answer));
     });
     server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));`,
    { eval: true, workerData: counter },
  );
  const [port] = await once(thread, "message");
  return {
    url: `http://127.0.0.1:${port}`,
    count: () => Atomics.load(counter, 0),
    stop: () => thread.terminate(),
  };
}

test("a thread whose agent stands still falls silent, and goes on when the agent does", async () => {
  const { loop } = startThread();
  await beatsReach(2);

  loop.speaks = false;
  await pause(3 * WORDS_LAST_MS);
  const silentSince = heartbeats().length;
  await pause(2 * WORDS_LAST_MS);
  expect(heartbeats()).toHaveLength(silentSince);

  loop.speaks = true;
  await beatsReach(silentSince + 2);
});

test("one leaves at once when the agent has something to say", async () => {
  plane.intercept = heartbeatsEvery(600_000);
  const { loop, wake } = startThread();
  await beatsReach(1);
  const before = loop.said;

  wake();

  await beatsReach(2);
  expect(Number(heartbeats()[1]?.body.running[0]?.detail)).toBeGreaterThan(before);
});

test.each([
  ["closed", 410, { answered: false, closed: true }],
  ["refused", 401, { answered: false, closed: false }],
])("a session that is %s ends them, and the agent is told how", async (_, status, end) => {
  plane.intercept = ({ name }) => (name === "heartbeat" ? refusal(status, "code", "no longer") : undefined);
  const { loop, ended } = startThread();

  expect(await ended).toEqual(end);
  expect(loop.warnings).toEqual(["heartbeat failed"]);
  expect(heartbeats()).toHaveLength(1);
});

test("an agent that leaves sends none afterwards", async () => {
  const { ended } = startThread();
  await beatsReach(2);

  await leave();

  expect(await ended).toEqual({ answered: true, closed: false });
  const sent = heartbeats().length;
  await pause(10 * PERIOD_MS);
  expect(heartbeats()).toHaveLength(sent);
});
