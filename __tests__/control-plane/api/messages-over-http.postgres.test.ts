import { type OutgoingHttpHeaders, request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { WORKER_PATH } from "../../../control-plane/protocol";
import { eventually } from "../../support/eventually";
import { useControlPlane } from "./use-control-plane";

const plane = useControlPlane();

const BEAT = JSON.stringify({ seq: 1, state: "active", running: [], released: [] });
const DECLARED = (body: string) => ({ "content-length": Buffer.byteLength(body) });
const CHUNKED = () => ({ "transfer-encoding": "chunked" });

interface Ask {
  readonly token: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly method?: string;
  readonly path?: string;
}

/** Status and code of the answer to a body that is sent as the headers say. */
async function ask(body: string, { token, headers = {}, method = "POST", path = "heartbeat" }: Ask) {
  return await new Promise<[status: number | undefined, code: string | undefined]>((resolve, reject) => {
    const url = `${plane.url}${WORKER_PATH}${path}`;
    const asked = request(
      url,
      { agent: false, method, headers: { ...headers, authorization: `Bearer ${token}` } },
      (answer) => {
        text(answer).then(
          (said) => resolve([answer.statusCode, said ? JSON.parse(said).error?.code : undefined]),
          reject,
        );
      },
    );
    asked.once("error", reject);
    asked.end(body);
  });
}

it("a message is answered alike whether its length is declared or its body comes in chunks", async () => {
  const { token } = await plane.worker("i-1").open();
  for (const [body, answer] of [
    [BEAT, [200, undefined]],
    [`\ufeff${BEAT}`, [200, undefined]],
    ["", [400, "invalid_message"]],
    ['{"seq":', [400, "invalid_message"]],
    ["{}", [400, "invalid_message"]],
  ] as const) {
    expect(await ask(body, { token, headers: DECLARED(body) })).toEqual(answer);
    expect(await ask(body, { token, headers: CHUNKED() })).toEqual(answer);
  }
  expect(await ask(BEAT, { token: "hfw_unknown-token", headers: DECLARED(BEAT) })).toEqual([401, "token_invalid"]);
  expect(await ask(BEAT, { token: "hfw_unknown-token", headers: CHUNKED() })).toEqual([401, "token_invalid"]);
});

it("a message that is too large is refused, whether it says so or is found to be", async () => {
  const { token } = await plane.worker("i-1").open();
  const begin = async (headers: OutgoingHttpHeaders, body: string) =>
    await new Promise((resolve) => {
      const authorization = `Bearer ${token}`;
      const options = { agent: false, method: "POST", headers: { ...headers, authorization } };
      const asked = request(`${plane.url}${WORKER_PATH}heartbeat`, options, (answer) => {
        resolve(answer.statusCode);
        asked.destroy();
      });
      asked.once("error", resolve);
      asked.flushHeaders();
      asked.write(body);
    });
  expect(await begin({ "content-length": 2_000_000 }, "{")).toBe(413);
  expect(await begin({ "transfer-encoding": "chunked" }, "a".repeat(2_000_000))).toBe(413);
});

it("a message is a POST to its path, with whatever query", async () => {
  const { token } = await plane.worker("i-1").open();
  const headers = DECLARED(BEAT);
  expect(await ask(BEAT, { token, headers, path: "heartbeat?again=1" })).toEqual([200, undefined]);
  for (const method of ["GET", "PUT", "DELETE"]) {
    expect(await ask(BEAT, { token, headers, method })).toEqual([404, "not_found"]);
  }
  expect(await ask("", { token, method: "HEAD" })).toEqual([404, undefined]);
  expect(await ask(BEAT, { token, headers, path: "heartbeats" })).toEqual([404, "not_found"]);
});

it("messages that come at once on one connection are answered in their order", async () => {
  const { token } = await plane.worker("i-1").open();
  const message = (authorization: string) =>
    `POST ${WORKER_PATH}heartbeat HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${authorization}\r\ncontent-length: ${BEAT.length}\r\n\r\n${BEAT}`;
  const socket = connect(Number(new URL(plane.url).port), "127.0.0.1");
  socket.write(message(token) + message("hfw_unknown-token") + message(token));
  let said = "";
  socket.setEncoding("utf8").on("data", (part: string) => {
    said += part;
  });

  const statuses = await eventually(async () => {
    const seen = [...said.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
    return seen.length === 3 ? seen : undefined;
  });
  socket.destroy();
  expect(statuses).toEqual(["200", "401", "200"]);
});

it.each([
  ["is declared", "content-length: 100", "{"],
  ["comes in chunks", "transfer-encoding: chunked", "1\r\n{\r\n"],
])(
  "a sender that leaves in the middle of a message whose length %s harms nobody, and is no failure of the database",
  async (_, header, part) => {
    const worker = await plane.worker("i-1").open();
    const head = `POST ${WORKER_PATH}heartbeat HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${worker.token}\r\n`;
    const socket = connect(Number(new URL(plane.url).port), "127.0.0.1");
    // The server says that it has the head, and waits for the body.
    const waits = new Promise((resolve) => socket.once("data", resolve));
    socket.write(`${head}${header}\r\nexpect: 100-continue\r\n\r\n`);
    await waits;
    socket.write(part, () => socket.destroy());

    const counted = /holdfast_request_seconds_count\{route="[^"]*(?:heartbeat|\*)",status="([^2]\d\d)"\} (\d+)/g;
    const figures = await eventually(async () => {
      const text = await (await fetch(`${plane.url}/metrics`)).text();
      const seen = [...text.matchAll(counted)].map(([, status, count]) => [status, count]);
      return seen.length > 0 ? seen : undefined;
    });
    expect(figures).toEqual([["400", "1"]]);
    expect(plane.copies[0]?.logs.filter((line) => /refused|request failed/.test(line))).toEqual([]);
    await worker.beat();
  },
);
