import { createLog } from "../../../agent/host/log";
import { type ControlPlaneClient, ControlPlaneError } from "../../../agent/worker/control-plane-client";
import { controlPlaneSource } from "../../../agent/worker/control-plane-source";
import type { TerminalReport } from "../../../agent/worker/jobs/job-source";

const REF = { jobId: "6f1c1a52-7f0e-4c86-9f5e-0a3c6d1f2b47", fence: 1 };
const REPORT: TerminalReport = { outcome: "failed", logTail: [] };

function sourceOf(post: object, session = { token: "first", open: true }) {
  const source = controlPlaneSource({
    controlPlane: { post } as unknown as ControlPlaneClient,
    session,
    orders: { features: [], obey: () => {} },
    log: createLog(() => {}),
    ending: new AbortController().signal,
  });
  return { session, source };
}

/** A source whose control plane refuses the first message so, and takes every other; what is sent, by the session's token. */
function refusedOnce(status: number, code: string, meanwhile: (session: { token: string }) => void = () => {}) {
  const session = { token: "first", open: true };
  const sent: string[] = [];
  const messages: object[] = [];
  const post = async (_: string, message: object, token: string) => {
    messages.push(message);
    if (sent.push(token) > 1) return {};
    meanwhile(session);
    throw new ControlPlaneError("refused", status, 0, code);
  };
  return { sent, messages, source: sourceOf(post, session).source };
}

test("a report that came to a closed session is said again in the one that has followed it, which may have the job", async () => {
  const { sent, source } = refusedOnce(410, "session_closed", (session) => {
    session.token = "second";
  });

  expect(await source.report(REF, REPORT)).toBe("taken");
  expect(sent).toEqual(["first", "second"]);
});

test.each([
  ["the job is somebody else's", 410, "fenced", "fenced"],
  ["the session is closed, and none has followed it", 410, "session_closed", "fenced"],
])("a report that is refused since %s is not said again", async (_, status, code, told) => {
  const { sent, source } = refusedOnce(status, code);

  expect(await source.report(REF, REPORT)).toBe(told);
  expect(sent).toEqual(["first"]);
});

test.each([
  ["it is not understood", 400, "bad_request"],
  ["it is too large", 413, "too_large"],
  ["the protocol is too old", 426, "upgrade_required"],
])(
  "a job that is given back is not said to be so again where %s, but without its checkpoint, and a job's end is, once more",
  async (_, status, code) => {
    const back = refusedOnce(status, code);
    expect(await back.source.release(REF, "drain")).toBeUndefined();
    expect(back.sent).toEqual(["first"]);

    const checkpoint = { seq: 1, phase: "streaming", position: "0/1" } as const;
    const backAt = refusedOnce(status, code);
    expect(await backAt.source.release(REF, "drain", checkpoint)).toBe("taken");
    expect(backAt.messages).toEqual([
      { reason: "drain", jobs: [{ ...REF, checkpoint }] },
      { reason: "drain", jobs: [REF] },
    ]);

    const end = refusedOnce(status, code);
    expect(await end.source.report(REF, REPORT)).toBe("taken");
    expect(end.sent).toEqual(["first", "first"]);
  },
);

test("control-plane 28: an earlier control plane, which refuses a claim for no jobs, is asked again five minutes later, and for jobs at once", async () => {
  jest.useFakeTimers();
  const claims: number[] = [];
  const post = async (_: string, { freeSlots }: { freeSlots: number }) => {
    claims.push(freeSlots);
    if (freeSlots === 0) throw new ControlPlaneError("freeSlots: too small", 400, 0, "invalid_message");
    return { grants: [], nextMs: 1, actions: [] };
  };
  const { source } = sourceOf(post);
  const { signal } = new AbortController();
  await source.claim(0, signal);
  expect(claims).toEqual([0]);

  const again = source.claim(0, signal);
  await jest.advanceTimersByTimeAsync(299_000);
  expect(claims).toEqual([0]);
  const forJobs = source.claim(1, signal);
  await jest.advanceTimersByTimeAsync(1);
  await forJobs;
  expect(claims).toEqual([0, 1]);
  await jest.advanceTimersByTimeAsync(1_000);
  await again;
  expect(claims).toEqual([0, 1, 0]);

  const freed = new AbortController();
  const waiting = source.claim(0, freed.signal);
  freed.abort();
  expect(await waiting).toEqual([]);
  expect(claims).toEqual([0, 1, 0]);
  jest.useRealTimers();
});

test("a start that is refused since the job is somebody else's is told as that", async () => {
  expect(await refusedOnce(410, "fenced").source.started(REF)).toBe("fenced");
});
