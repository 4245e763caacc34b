import { EventEmitter } from "node:events";
import * as connection from "../../../agent/daemon/connection";
import { ConnectionLostError } from "../../../agent/daemon/failure";
import { openStream } from "../../../agent/daemon/source/stream";

jest.mock("../../../agent/daemon/connection");

const KEEPALIVE = Buffer.concat([Buffer.from("k"), Buffer.alloc(17)]);
const asks = (chunk: Buffer) => chunk[33] === 1;

/** A source that says what the test has it say, and hears what it is told. */
async function source() {
  const heard: Buffer[] = [];
  const socket = { pause: jest.fn(), resume: jest.fn() };
  const wire = Object.assign(new EventEmitter(), {
    sendCopyFromChunk: (chunk: Buffer) => void heard.push(chunk),
    stream: socket,
  });
  const client = Object.assign(new EventEmitter(), {
    connection: wire,
    query: () => {
      setImmediate(() => wire.emit("replicationStart"));
      return new Promise(() => {});
    },
  });
  jest.mocked(connection.connect).mockResolvedValue(client as unknown as connection.Connection);
  const stream = await openStream("postgres://source", { slotName: "slot", publicationName: "copy", from: 0n });
  const says = (chunk: Buffer) => wire.emit("copyData", { chunk });
  return { stream, heard, socket, says };
}

beforeEach(() => jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick"] }));
afterEach(() => jest.useRealTimers());

test("a source that says nothing for a minute, although it was asked, is given up", async () => {
  const { stream, heard } = await source();
  const lost = expect(stream.next()).rejects.toThrow(ConnectionLostError);

  await jest.advanceTimersByTimeAsync(29_000);
  expect(heard.filter(asks)).toEqual([]);
  await jest.advanceTimersByTimeAsync(30_000);
  expect(heard.filter(asks).length).toBeGreaterThan(1);
  await jest.advanceTimersByTimeAsync(1_000);

  await lost;
  stream.close();
});

test("an idle source that answers is kept", async () => {
  const { stream, heard, says } = await source();
  for (let second = 0; second < 600; second++) {
    const asked = heard.length;
    await jest.advanceTimersByTimeAsync(1_000);
    if (heard.slice(asked).some(asks)) says(KEEPALIVE);
  }
  await expect(stream.next(0)).resolves.toMatchObject({ tag: "keepalive" });
  stream.close();
});

test("a source that is not read, since the sink is slow, is not taken for silent", async () => {
  const { stream, socket, says } = await source();
  says(Buffer.concat([KEEPALIVE, Buffer.alloc(9 * 1_024 * 1_024)]));
  expect(socket.pause).toHaveBeenCalled();

  await jest.advanceTimersByTimeAsync(600_000);
  await expect(stream.next(0)).resolves.toMatchObject({ tag: "keepalive" });
  expect(socket.resume).toHaveBeenCalled();

  const quiet = stream.next(59_000);
  await jest.advanceTimersByTimeAsync(59_000);
  await expect(quiet).resolves.toBeUndefined();
  stream.close();
});
