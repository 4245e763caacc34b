import { createLog } from "../../../agent/host/log";
import { controlPlaneClient } from "../../../agent/worker/control-plane-client";
import { keepSession, type SessionState, type WorkerDescription } from "../../../agent/worker/session";
import type { Answer } from "../../../control-plane/protocol";
import { type FakeControlPlane, json, refusal, startControlPlane } from "../../support/fake-control-plane";

const WORKER: WorkerDescription = {
  workerId: "i-0a1b2c3d4e5f60718",
  agentVersion: "0.1.0",
  daemonVersion: "2.4.0",
  pool: "docs",
  labels: {},
  slots: 5,
  features: ["drain"],
};
const TOKEN = "canary-deployment-token";

let plane: FakeControlPlane;
let lines: string[];
let waits: number[];
let state: SessionState;
let answers: Answer<"heartbeat">[];

beforeEach(async () => {
  plane = await startControlPlane(TOKEN);
  lines = [];
  waits = [];
  answers = [];
  state = { token: undefined, open: false, answeredAt: 0 };
});
afterEach(() => plane.close());

interface Run {
  /** The agent leaves when this holds, looked at between two messages. */
  readonly until: () => boolean;
  readonly deploymentToken?: (anew: boolean) => Promise<string>;
  readonly random?: () => number;
  readonly endpoint?: string;
  readonly closed?: () => Promise<void>;
}

/** A session in which no time passes: every wait is recorded and ends at once. */
async function run({
  until,
  deploymentToken,
  random = () => 1,
  endpoint = plane.endpoint,
  closed = async () => {},
}: Run): Promise<number> {
  const leaving = new AbortController();
  let registrations = 0;
  const ports = {
    controlPlane: controlPlaneClient(endpoint),
    log: createLog((line) => void lines.push(line)),
    deploymentToken: deploymentToken ?? (async () => TOKEN),
    random,
    now: () => 0,
    status: async () => {},
    work: {
      beat: () => ({
        message: { state: "active" as const, running: [], released: [] },
        answered: (answer: Answer<"heartbeat">) => void answers.push(answer),
      }),
      closed,
    },
    sleep: async (delayMs: number) => {
      waits.push(delayMs);
      if (until() || waits.length > 200) leaving.abort();
      return leaving.signal.aborted;
    },
    turn: () => {},
  };
  await keepSession(WORKER, state, ports, leaving.signal, async () => {
    registrations += 1;
  });
  return registrations;
}

describe("R22: registration", () => {
  test("exchanges the deployment's token for the session's own, which every other message carries", async () => {
    await run({ until: () => plane.messagesOf("heartbeat").length === 3 });

    expect(plane.messagesOf("register").map(({ token }) => token)).toEqual([TOKEN]);
    const tokens = new Set(plane.messagesOf("heartbeat").map(({ token }) => token));
    expect([...tokens]).toEqual([state.token]);
    expect(tokens).not.toContain(TOKEN);
    expect(lines.join("")).not.toContain(state.token);
  });

  test.each([
    ["expired or replayed", 401, "unauthorized"],
    ["revoked", 403, "forbidden"],
    ["of a closed session", 410, "session_closed"],
  ])("is repeated, as a new session, when the session's token is %s", async (_, status, code) => {
    let refusals = 1;
    plane.intercept = ({ name }) =>
      name === "heartbeat" && refusals-- > 0 ? refusal(status, code, "no longer") : undefined;

    const registrations = await run({ until: () => plane.messagesOf("heartbeat").length === 3 });

    expect(registrations).toBe(2);
    const [first, second] = plane.messagesOf("register").map(({ body }) => body.sessionId);
    expect(first).not.toBe(second);
  });

  test("with a refused deployment token fetches it anew and waits: one attempt per backoff step, full jitter, 60 s at most", async () => {
    // GIVEN a token that was rotated, and a store that has the new one from the tenth attempt on
    plane.deploymentToken = "rotated";
    const asked: boolean[] = [];
    const deploymentToken = async (anew: boolean) => {
      asked.push(anew);
      return asked.length < 10 ? TOKEN : "rotated";
    };

    // WHEN
    const registrations = await run({ until: () => plane.messagesOf("heartbeat").length === 1, deploymentToken });

    // THEN
    expect(registrations).toBe(1);
    expect(asked).toEqual([false, ...Array(9).fill(true)]);
    expect(waits.slice(0, 9)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    expect(new Set(plane.messagesOf("register").map(({ body }) => body.sessionId)).size).toBe(1);
  });

  test("backs off also where each session is refused with its first heartbeat", async () => {
    plane.intercept = ({ name }) => (name === "heartbeat" ? refusal(401, "unauthorized", "no") : undefined);

    await run({ until: () => plane.messagesOf("register").length === 5 });

    expect(waits.filter((wait) => wait > 0)).toEqual([500, 1_000, 2_000, 4_000]);
  });

  test("spreads its attempts over the whole step", async () => {
    plane.deploymentToken = "another";
    await run({ until: () => waits.length === 5, random: () => 0.25 });

    expect(waits).toEqual([125, 250, 500, 1_000, 2_000]);
  });

  test.each([
    ["an error page", { status: 502, body: "<html>bad gateway</html>" }],
    ["an answer that the protocol does not know", json(200, { token: 5 })],
    ["a refusal of the message itself", refusal(400, "bad_request", "no")],
  ])("outlasts %s", async (_, answer) => {
    let failures = 2;
    plane.intercept = ({ name }) => (name === "register" && failures-- > 0 ? answer : undefined);

    expect(await run({ until: () => plane.messagesOf("heartbeat").length === 1 })).toBe(1);
    expect(plane.messagesOf("register")).toHaveLength(3);
  });

  test("waits as long as a busy server asks, if that is longer", async () => {
    let failures = 1;
    plane.intercept = ({ name }) =>
      name === "register" && failures-- > 0 ? refusal(503, "busy", "later", 45_000) : undefined;

    await run({ until: () => plane.messagesOf("heartbeat").length === 1 });
    expect(waits[0]).toBe(45_000);
  });

  test("of an agent that leaves ends without a session", async () => {
    expect(await run({ until: () => waits.length === 3, endpoint: "http://127.0.0.1:1" })).toBe(0);
    expect(lines.join("")).toContain("register: no answer from http://127.0.0.1:1");
  });
});

test("heartbeats count up and come when the server wants them", async () => {
  plane.intercept = ({ name, body }) =>
    name === "heartbeat" ? json(200, { leaseMs: 30_000, nextMs: 1_000 * body.seq, actions: [] }) : undefined;

  await run({ until: () => plane.messagesOf("heartbeat").length === 3 });

  expect(plane.messagesOf("heartbeat").map(({ body }) => body.seq)).toEqual([1, 2, 3]);
  expect(waits).toEqual([0, 1_000, 2_000, 3_000]);
});

test("a heartbeat that is not answered is followed by the next one, in the same session", async () => {
  let failures = 2;
  plane.intercept = ({ name }) => (name === "heartbeat" && failures-- > 0 ? { status: 500 } : undefined);

  expect(await run({ until: () => plane.messagesOf("heartbeat").length === 4 })).toBe(1);
});

test("what a heartbeat says is asked for just before it is sent, and its answer is handed over", async () => {
  const drain = { kind: "drain", mode: "handoff", deadlineMs: 60_000 };
  plane.intercept = ({ name }) =>
    name === "heartbeat" ? json(200, { leaseMs: 30_000, nextMs: 100, actions: [drain] }) : undefined;

  await run({ until: () => plane.messagesOf("heartbeat").length === 3 });

  expect(answers.map(({ actions }) => actions)).toEqual([[drain], [drain], [drain]]);
});

test("a session that was closed is followed by another one only when no daemon is left", async () => {
  const order: string[] = [];
  plane.intercept = ({ name }) => {
    order.push(name);
    return name === "heartbeat" && order.length < 4 ? refusal(410, "session_closed", "closed") : undefined;
  };

  await run({
    until: () => plane.messagesOf("register").length === 2,
    closed: async () => void order.push("daemons gone"),
  });

  expect(order).toEqual(["register", "heartbeat", "daemons gone", "register"]);
});

test("R34: the session's token, which a refusal repeats, is in no log", async () => {
  plane.intercept = ({ name, token }) =>
    name === "heartbeat" ? refusal(503, "unavailable", `no route for Bearer ${token}`) : undefined;

  await run({ until: () => lines.some((line) => line.includes("no route for")) });

  expect(state.token).toBeTruthy();
  expect(lines.join("")).not.toContain(state.token);
});
