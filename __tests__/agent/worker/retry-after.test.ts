import { createLog } from "../../../agent/host/log";
import { connectionTests } from "../../../agent/worker/connection-test/connection-tests";
import { ControlPlaneError, controlPlaneClient } from "../../../agent/worker/control-plane-client";
import { controlPlaneSource } from "../../../agent/worker/control-plane-source";
import type { JobSource, TerminalReport } from "../../../agent/worker/jobs/job-source";
import type { MessageName, Request } from "../../../control-plane/protocol";
import { MESSAGES } from "../../../control-plane/protocol/schemas";
import { type FakeControlPlane, refusal, startControlPlane } from "../../support/fake-control-plane";
import type { HttpAnswer } from "../../support/http-server";
import { workerWithJob } from "./worker-with-job";

const REF = { jobId: "6f1c1a52-7f0e-4c86-9f5e-0a3c6d1f2b47", fence: 1 };
const CHECKPOINT = { seq: 1, phase: "streaming", position: "0/1" } as const;
const log = createLog(() => {});
const START = Date.UTC(2026, 0, 2, 3, 4, 0);

afterEach(() => {
  jest.useRealTimers();
});

describe("what a refusal asks to wait is read from", () => {
  let plane: FakeControlPlane;
  beforeEach(async () => {
    plane = await startControlPlane("token");
  });
  afterEach(() => plane.close());

  const page = (status: number, retryAfter: string): HttpAnswer => ({
    status,
    headers: { "retry-after": retryAfter },
    body: "<html>busy</html>",
  });
  const both = { ...refusal(503, "unavailable", "later", 2_000), headers: { "retry-after": "7" } };

  test.each<[string, HttpAnswer, number, number]>([
    ["its body", refusal(429, "rate_limited", "later", 12_000), 429, 12_000],
    ["the header of an error page", page(503, "9"), 503, 9_000],
    ["a date in the header", page(429, new Date(START + 20_000).toUTCString()), 429, 20_000],
    ["the longer one of both", both, 503, 7_000],
    ["neither, where the header is no time", page(503, "soon"), 503, 0],
    ["neither, where the date is over", page(503, new Date(START - 20_000).toUTCString()), 503, 0],
  ])("%s", async (_, answer, status, retryAfterMs) => {
    plane.intercept = () => answer;
    jest.spyOn(Date, "now").mockReturnValue(START);

    await expect(
      controlPlaneClient(plane.endpoint).post("deregister", { reason: "test" }, "token"),
    ).rejects.toMatchObject({ name: "ControlPlaneError", status, retryAfterMs });
    jest.restoreAllMocks();
  });
});

describe("a server that asks to wait is asked again when that is over, and not before, with", () => {
  const WAIT_MS = 40_000;

  /** A control plane that refuses each message of that name for the first time. */
  function busy(name: MessageName, waitMs: number) {
    jest.useFakeTimers({ now: START });
    const sent: number[] = [];
    const post = async (asked: MessageName) => {
      if (asked !== name) return {};
      sent.push(Date.now() - START);
      if (sent.length === 1) throw new ControlPlaneError("busy", 503, waitMs, "unavailable");
      return { seq: 1, grants: [], actions: [], nextMs: 1 };
    };
    const session = { token: "session", open: true };
    const controlPlane = { post } as unknown as ReturnType<typeof controlPlaneClient>;
    const orders = { features: [], obey: () => {} };
    const ending = new AbortController().signal;
    return { sent, controlPlane, session, source: controlPlaneSource({ controlPlane, session, orders, log, ending }) };
  }

  test.each<[MessageName, (source: JobSource) => Promise<unknown>]>([
    ["progress", (source) => source.progress(REF, CHECKPOINT)],
    ["report", (source) => source.report(REF, { outcome: "failed", logTail: [] })],
    ["release", (source) => source.release(REF, "drain")],
    [
      "claim",
      async (source) => {
        await source.claim(1, new AbortController().signal);
        await source.claim(1, new AbortController().signal);
      },
    ],
  ])("%s", async (name, say) => {
    const { sent, source } = busy(name, WAIT_MS);
    const said = say(source);
    await jest.advanceTimersByTimeAsync(WAIT_MS - 1);
    expect(sent).toEqual([0]);
    await jest.advanceTimersByTimeAsync(2);
    await said;
    expect(sent).toEqual([0, WAIT_MS]);
  });

  test("report, within bounds: a day is a minute", async () => {
    const { sent, source } = busy("report", 86_400_000);
    const said = source.report(REF, { outcome: "failed", logTail: [] });
    await jest.advanceTimersByTimeAsync(61_000);
    await said;
    expect(sent).toEqual([0, 60_000]);
  });

  test("started: it says for how long", async () => {
    const { source } = busy("started", WAIT_MS);
    expect(await source.started(REF)).toBe(WAIT_MS);
    expect(await source.started(REF)).toBe("taken");
  });

  test("connection-test", async () => {
    const { sent, controlPlane, session } = busy("connection-test", WAIT_MS);
    const connection = { engine: "none", url: "none", user: "", password: "p", options: {} };
    const test = connectionTests({ controlPlane, session, quirks: { plainConnectionsOnly: false }, log });
    test({ kind: "test_connection", testId: REF.jobId, role: "source", connection, deadlineMs: 100_000 });
    await jest.advanceTimersByTimeAsync(WAIT_MS * 2);
    expect(sent).toHaveLength(2);
    expect((sent[1] ?? 0) - (sent[0] ?? 0)).toBe(WAIT_MS);
  });

  test("metrics: the next figures leave later than they would", async () => {
    jest.useFakeTimers({ now: START });
    const { of, pass, stop, running } = await workerWithJob({
      metricsMs: 10_000,
      answering: jest
        .fn(async () => {})
        .mockRejectedValueOnce(new ControlPlaneError("busy", 429, WAIT_MS, "rate_limited")),
    });
    await pass(110_000);
    const [first, second, third] = of("metrics").map(({ at }) => at);
    expect([(second ?? 0) - (first ?? 0), (third ?? 0) - (second ?? 0)]).toEqual([WAIT_MS, 10_000]);
    stop();
    await pass(5_000);
    await running;
  });
});

describe("an end of which the control plane does not understand all that is said of it", () => {
  const REPORT: TerminalReport = {
    outcome: "stopped",
    exitCode: 0,
    cleaned: true,
    checkpoint: CHECKPOINT,
    logTail: ["?"],
  };

  async function said(status: number, understands: (report: Request<"report">) => boolean) {
    const sent: Request<"report">[] = [];
    const post = async (_: MessageName, report: Request<"report">) => {
      sent.push(report);
      if (!understands(report)) throw new ControlPlaneError("not understood", status, 0, "invalid_message");
      return {};
    };
    const source = controlPlaneSource({
      controlPlane: { post } as unknown as ReturnType<typeof controlPlaneClient>,
      session: { token: "session", open: true },
      orders: { features: [], obey: () => {} },
      log,
      ending: new AbortController().signal,
    });
    return { answer: await source.report(REF, REPORT), sent };
  }

  test.each([400, 413])("is told bare: the job is settled (%i)", async (status) => {
    const { answer, sent } = await said(status, ({ logTail }) => logTail.length === 0);

    const error = expect.stringContaining("the control plane did not understand");
    expect(answer).toBe("taken");
    expect(sent).toEqual([
      { ...REF, ...REPORT },
      { ...REF, outcome: "stopped", cleaned: true, error, logTail: [] },
    ]);
    expect(MESSAGES.report.request.safeParse(sent[1]).success).toBe(true);
  });

  test("is told no third time", async () => {
    const { answer, sent } = await said(400, () => false);

    expect([answer, sent.length]).toEqual([undefined, 2]);
  });
});
