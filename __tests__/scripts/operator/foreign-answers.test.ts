import { createServer } from "node:net";
import { join } from "node:path";
import { useScratch } from "../../support/scratch";
import { useCannedControlPlane } from "./canned-control-plane";
import { CANARY, COMMANDS, rightAnswer } from "./every-command";
import { holdfast, type Outcome } from "./holdfast";

const scratch = useScratch();
const plane = useCannedControlPlane();

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
