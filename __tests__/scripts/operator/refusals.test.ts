import { createServer, type Server } from "node:net";
import { useScratch } from "../../support/scratch";
import { useCannedControlPlane } from "./canned-control-plane";
import { COMMANDS, rightAnswer } from "./every-command";
import { holdfast, type Outcome } from "./holdfast";

const scratch = useScratch();
const plane = useCannedControlPlane();
afterEach(() => jest.restoreAllMocks());

const run = async (line: string, url = plane.url): Promise<Outcome> =>
  await holdfast(line.replaceAll("{}", scratch.path).split(" "), {
    HOLDFAST_URL: url,
    HOLDFAST_TOKEN: "hfo_abcdefgh",
    HOLDFAST_DATASOURCE_PASSWORD: "canary",
  });

const refusal = (code: string, message: string) => ({ error: { code, message, jobs: [], retryAfterMs: 0 } });

/** What a command asks for last: what it is for. */
async function purposeOf(line: string): Promise<string> {
  plane.answer = rightAnswer;
  expect(await run(line)).toMatchObject({ code: 0 });
  return plane.asked.at(-1) ?? "";
}

describe.each(COMMANDS)("holdfast %s", (line) => {
  it.each([
    ["invalid_message", 400],
    ["token_invalid", 401],
    ["token_scope", 403],
    ["not_found", 404],
    ["conflict", 409],
    ["too_large", 413],
    ["rate_limited", 429],
    ["internal", 500],
    ["unavailable", 503],
  ])("says what, where and what next when it is refused: %s", async (code, status) => {
    const purpose = await purposeOf(line);
    plane.answer = (asked) => (asked === purpose ? refusal(code, "it cannot be") : rightAnswer(asked));
    plane.status = (asked) => (asked === purpose ? status : 200);

    const { code: exit, err } = await run(line);

    expect(exit).toBe(1);
    expect(err.slice(err.indexOf(code.toUpperCase()))).toMatch(
      new RegExp(
        `^${code.toUpperCase()}: it cannot be\n  where: ${purpose.split(" ")[0]} ${plane.url}/.*\n  next: \\S.*\n$`,
      ),
    );
  });
});

it.each([
  ["job create orders --source orders-db --sink orders-db --tables t", "conflict", "holdfast job list"],
  ["datasource delete orders-db", "conflict", "holdfast job list"],
  ["datasource test orders-db --role source", "conflict", "holdfast worker list"],
  ["upgrade abort u", "not_found", "holdfast upgrade status"],
  ["key rotate", "conflict", "holdfast datasource list"],
  ["deployment create shop", "invalid_message", "holdfast deployment create --help"],
  ["audit verify", "not_found", "holdfast audit list"],
])("sends whoever asked for %s, which is refused with %s, to %s", async (line, code, next) => {
  const purpose = await purposeOf(line);
  plane.answer = (asked) => (asked === purpose ? refusal(code, "it cannot be") : rightAnswer(asked));
  plane.status = (asked) => (asked === purpose ? 409 : 200);

  expect((await run(line)).err).toContain(`\n  next: ${next}\n`);
});

it.each([
  ["a key", refusal("invalid_message", 'the body: Unrecognized key: "setOptions"'), 400],
  ["a path", refusal("not_found", "no such path"), 404],
])("tells a control plane that is older than the command, which does not know %s", async (_, answer, status) => {
  const line = "datasource change orders-db --option sslmode=require";
  const purpose = await purposeOf(line);
  plane.answer = (asked) => (asked === purpose ? answer : rightAnswer(asked));
  plane.status = (asked) => (asked === purpose ? status : 200);

  const { code, err } = await run(line);

  expect(code).toBe(1);
  expect(err).toMatch(
    /^CONTROL_PLANE_OLDER: the control plane does not know what it was asked: .*\n {2}where: POST .*\n {2}next: bring the control plane to the version of this command/,
  );
});

describe("a control plane that says nothing", () => {
  let server: Server;
  let url: string;
  beforeEach(async () => {
    server = createServer((socket) => socket.on("error", () => {}));
    await new Promise<void>((listens) => server.listen(0, "127.0.0.1", listens));
    url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    jest
      .spyOn(AbortSignal, "timeout")
      .mockImplementation(() => AbortSignal.abort(new DOMException("late", "TimeoutError")));
  });
  afterEach(() => server.close());

  it("is told by the time that it was given", async () => {
    const { code, err } = await run("deployment list", url);

    expect([code, err.split("\n")]).toEqual([
      1,
      [
        "CONTROL_PLANE_UNREACHABLE: the control plane does not answer: no answer within 30 s",
        `  where: GET ${url}/api/v1/deployments?limit=1000&after=`,
        "  next: check --url or HOLDFAST_URL; npm start runs a control plane on this machine",
        "",
      ],
    ]);
  });

  it("may have done what it was asked to change", async () => {
    const { code, err } = await run("deployment create shop", url);

    expect([code, err.split("\n")]).toEqual([
      1,
      [
        "CONTROL_PLANE_UNREACHABLE: the control plane does not answer: no answer within 30 s; whether it has done what it was asked is not known",
        `  where: POST ${url}/api/v1/deployments`,
        "  next: look whether it was done before you repeat the command",
        "",
      ],
    ]);
  });
});

it("says of a control plane that was not reached that it is not there, and nothing of what it may have done", async () => {
  const server = createServer();
  await new Promise<void>((listens) => server.listen(0, "127.0.0.1", listens));
  const { port } = server.address() as { port: number };
  await new Promise((closed) => server.close(closed));

  const { err } = await run("deployment create shop", `http://127.0.0.1:${port}`);

  expect(err).toMatch(/^CONTROL_PLANE_UNREACHABLE: the control plane does not answer: ECONNREFUSED\n/);
  expect(err).toContain("next: check --url or HOLDFAST_URL");
});

it.each([
  ["deployment list", "there is no deployment: holdfast deployment create <name>"],
  ["datasource list", "there is no datasource"],
  ["job list", "there is no job"],
  ["worker list", "no worker is registered"],
  ["upgrade status", "there was no upgrade"],
  ["token list", "there is no valid token"],
  ["audit list", "there is no entry"],
  ["audit list --after 7", "there is no entry after 7"],
])("holdfast %s says so where there is nothing to list", async (line, said) => {
  plane.answer = (asked) =>
    asked.includes("/deployments?") && line !== "deployment list" ? [{ id: "d", name: "shop" }] : [];

  expect(await run(line)).toEqual({ code: 0, out: `${said}\n`, err: "" });
  expect(JSON.parse((await run(`${line} --json`)).out)).toEqual([]);
});

it.each(["upgrade status", "upgrade status u"])(
  "holdfast %s says what to do about a silent worker for which an upgrade waits",
  async (line) => {
    const upgrade = (detail: string | null, state = "running") => {
      plane.answer = (asked) =>
        asked.includes("/upgrades?")
          ? [{ id: "u", state, program: "agent", version: "2", pool: "default", detail }]
          : rightAnswer(asked);
    };
    const advice = "next: once the instance of a silent worker is gone, say so: holdfast worker gone <worker>\n";

    upgrade("waits for i-1 (silent), i-2 (draining)");
    const { out } = await run(line);
    expect(out).toContain("waits for i-1 (silent), i-2 (draining)");
    expect(out.endsWith(advice)).toBe(true);

    for (const [detail, state] of [
      [null, "running"],
      ["waits for i-2 (draining)", "running"],
      ["waits for i-1 (silent)", "aborted"],
    ] as const) {
      upgrade(detail, state);
      expect((await run(line)).out).not.toContain("next:");
    }
  },
);
