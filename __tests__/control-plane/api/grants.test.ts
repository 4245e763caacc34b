import { randomUUID } from "node:crypto";
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Pool } from "pg";
import type { ApiContext } from "../../../control-plane/api/context";
import { LeavingAsker } from "../../../control-plane/api/delivery";
import { HANDLERS, type Sender } from "../../../control-plane/api/worker-messages";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import type { Claim } from "../../../control-plane/store/claim";
import type { Prepared } from "../../../control-plane/store/database";
import { LOCK, WRITE } from "../../../control-plane/store/jobs";

const PLACEMENT = { deploymentId: "d", pool: "default", labels: {} };
const SESSION = "s";
const REF = { jobId: randomUUID(), fence: 7 };
const GRANTED = { id: REF.jobId, fence: REF.fence, session_id: SESSION, state: "starting", desired: "run" };

/** A control plane with one job for whoever claims, and what it does with it. */
function controlPlane() {
  const done: string[] = [];
  const claims: Claim[] = [];
  const query = async (statement: string | Prepared, [rows = ""]: readonly string[] = []) => {
    if (statement === WRITE) done.push(...JSON.parse(rows).map(({ state }: { state: string }) => state));
    if (statement === "commit") done.push("committed");
    return { rows: statement === LOCK ? [GRANTED] : [] };
  };
  const pool = { connect: async () => ({ query, on() {}, off() {}, release() {} }) } as unknown as Pool;
  const session = { id: SESSION, state: "open", unwanted: [] };
  const claim = async (asked: Claim) => {
    claims.push(asked);
    return { session, granted: [{ ...REF, assignment: {} }], isMore: false };
  };
  const waker = {
    asks: () => () => {},
    mayHaveWork: () => true,
    askAgainMs: () => 1,
    jobsReady: () => done.push("told"),
  };
  const telemetry = { claimed() {} };
  const api = { pool, waker, telemetry, timing: DEFAULT_TIMING, jobWrites: { claim } };
  return { api: api as unknown as ApiContext, done, claims };
}

/** Claims on a connection of its own. */
async function claimOn(api: ApiContext) {
  const socket = new Socket();
  const outgoing = new ServerResponse(new IncomingMessage(socket));
  outgoing.assignSocket(socket);
  const gone = new LeavingAsker(outgoing);
  const sender = { sessionId: SESSION, placement: PLACEMENT, holder: { tokenId: "t" }, gone, outgoing };
  const asked = { claimId: randomUUID(), freeSlots: 1, waitMs: 0 };
  const { grants } = await HANDLERS.claim(api, sender as unknown as Sender, asked);
  return { socket, outgoing, grants };
}

beforeEach(() => jest.useFakeTimers({ doNotFake: ["nextTick", "queueMicrotask", "setImmediate"] }));
afterEach(() => jest.useRealTimers());

it("control-plane 11: a worker is told how long a grant lasts that the sweeps take back within 10 s", async () => {
  const { api, claims } = controlPlane();

  const { grants } = await claimOn(api);

  expect(claims).toMatchObject([{ grantMs: 8_000 }]);
  expect(grants).toMatchObject([{ ...REF, deadlineMs: 8_000 }]);
});

type Claimed = Awaited<ReturnType<typeof claimOn>>;

/** The answer is over, and its connection free for the next. */
function sendAll({ outgoing, socket }: Claimed): void {
  Object.defineProperty(outgoing, "writableFinished", { value: true });
  outgoing.detachSocket(socket);
  outgoing.emit("close");
}

const CUTS: readonly [where: string, cut: (claimed: Claimed) => void][] = [
  ["with the answer half sent", ({ outgoing }) => outgoing.emit("close")],
  [
    "with the answer unread",
    (claimed) => {
      sendAll(claimed);
      claimed.socket.emit("close", true);
    },
  ],
];

it.each(CUTS)(
  "control-plane 11: a job is pending, and others are told, when its claimer's connection ends %s: before any time has passed",
  async (_, cut) => {
    const { api, done } = controlPlane();
    const claimed = await claimOn(api);
    expect(done).toEqual([]);
    const at = performance.now();

    cut(claimed);
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);

    expect(done).toEqual(["pending", "committed", "told"]);
    expect(performance.now()).toBe(at);
  },
);
