import { createServer } from "node:net";
import { join } from "node:path";
import { useScratch } from "../../support/scratch";
import { useCannedControlPlane } from "./canned-control-plane";
import { holdfast, type Outcome } from "./holdfast";

const scratch = useScratch();
const plane = useCannedControlPlane();

const CANARY = "hfo_canary-of-an-answer";
const SHA256 = "ab".repeat(32);
const JOB = { id: "j", name: "orders", state: "pending", gapAfter: "0/5", logTail: [] };
const UPGRADE = { id: "u", state: "running", program: "agent", version: "2", pool: "default" };
const WORKER = { sessionId: "s", workerId: "i-1", draining: false, silentMs: 0, jobs: 0 };
const TEST = { state: "answered", workerId: "i-1", ok: true, steps: [] };

/** What a control plane answers, by what it is asked. */
const ANSWERS: readonly (readonly [RegExp, unknown])[] = [
  [/^GET .*\/deployments\?/, [{ id: "d", name: "shop" }]],
  [/^GET .*\/datasources\?/, [{ id: "s", name: "orders-db", options: {} }]],
  [/^GET .*\/jobs\?/, [JOB]],
  [/^GET .*\/jobs\/j$/, JOB],
  [/^GET .*\/upgrades\?/, [UPGRADE]],
  [/^GET .*\/upgrades\/u\/workers\?/, [{ workerId: "i-1", state: "asked", detail: null }]],
  [/^GET .*\/workers\?/, [WORKER]],
  [/^GET .*\/connection-tests\//, TEST],
  [/^GET .*\/tokens\?/, [{ id: "t" }]],
  [/^GET .*\/audit\?/, [{ seq: 1 }]],
  [/^GET .*\/audit\/verify/, { tamperedAt: null }],
  [/^POST .*\/jobs\/j\/(run|pause|stop|delete)$/, { state: "stopped" }],
  [/^POST .*\/gone$/, { freed: 0 }],
  [/^POST .*\/keys\/rotate$/, { key: "k1", wrapped: 0 }],
  [/^POST .*\/datasources\/s$/, { version: 1 }],
  [/^POST .*\/tokens(\/t\/rotate)?$/, { id: "t", token: CANARY }],
  [/^POST /, { id: "new" }],
  [/^DELETE /, {}],
];
const rightAnswer = (asked: string): unknown => ANSWERS.find(([what]) => what.test(asked))?.[1];

const COMMANDS = [
  "deployment create shop",
  "deployment list",
  "deployment show shop",
  "datasource create orders-db --engine postgres --at postgres://db/shop --user cdc",
  "datasource change orders-db --option sslmode=require",
  "datasource list",
  "datasource show orders-db",
  "datasource test orders-db --role source",
  "datasource delete orders-db",
  "job create orders --source orders-db --sink orders-db --tables t",
  "job list",
  "job show orders",
  "job run orders",
  "job pause orders",
  "job stop orders",
  "job delete orders",
  "job acknowledge-gap orders --yes",
  "worker list",
  "worker show i-1",
  "worker drain i-1",
  "worker revoke i-1",
  "worker gone i-1 --yes",
  `upgrade start agent 2 --from https://releases.example/a --sha256 ${SHA256} --signature c2ln`,
  "upgrade status",
  "upgrade status u",
  "upgrade pause u",
  "upgrade resume u",
  "upgrade abort u",
  "token create --out {}/token",
  "token rotate t --out {}/token",
  "token list",
  "token revoke t",
  "audit list",
  "audit verify",
  "key rotate",
];

const run = async (line: string): Promise<Outcome> =>
  await holdfast([...line.replaceAll("{}", scratch.path).split(" "), "--json"], {
    HOLDFAST_URL: plane.url,
    HOLDFAST_TOKEN: "hfo_abcdefgh",
    HOLDFAST_DATASOURCE_PASSWORD: "canary",
  });

test.each(COMMANDS)("holdfast %s tells an answer that is no control plane's, to whichever question", async (line) => {
  plane.answer = rightAnswer;
  expect(await run(line)).toMatchObject({ code: 0 });
  const questions = [...new Set(plane.asked)];
  expect(questions).not.toEqual([]);

  for (const question of questions) {
    plane.answer = (asked) => (asked === question ? CANARY : rightAnswer(asked));
    const { code, out } = await run(line);
    expect([code, JSON.parse(out)]).toEqual([
      1,
      {
        error: {
          code: "NOT_A_CONTROL_PLANE",
          message: "answered 200, but not as a control plane does",
          where: expect.stringContaining(plane.url),
          next: "check --url or HOLDFAST_URL",
        },
      },
    ]);
  }
});

test.each([
  ["an object without what was asked for", { token: CANARY }],
  ["an object in place of a list", {}],
  ["null", null],
  ["a list of something else", [CANARY]],
  ["a page", `<title>${CANARY}</title>`],
])("tells %s, and repeats none of it", async (_, answer) => {
  plane.answer = () => answer;

  for (const line of [
    "deployment list",
    "key rotate",
    `token create --all-deployments --out ${join(scratch.path, "t")}`,
  ]) {
    const { code, out, err } = await run(line);
    expect([code, err, JSON.parse(out).error.code]).toEqual([1, "", "NOT_A_CONTROL_PLANE"]);
    expect(out).not.toContain(CANARY);
  }
});

it("tells an answer that breaks off from one that is something else's", async () => {
  const server = createServer((socket) =>
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[")),
  );
  await new Promise<void>((listens) => server.listen(0, "127.0.0.1", listens));
  try {
    const { port } = server.address() as { port: number };
    const outcome = await holdfast(["deployment", "list"], {
      HOLDFAST_URL: `http://127.0.0.1:${port}`,
      HOLDFAST_TOKEN: "hfo_abcdefgh",
    });
    expect(outcome).toMatchObject({ code: 1, out: "", err: expect.stringMatching(/^CONTROL_PLANE_UNREACHABLE: /) });
  } finally {
    await new Promise((closed) => server.close(closed));
  }
});
