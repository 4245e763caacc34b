import { parseEnvironment } from "../../../agent/daemon/configuration";
import { runDaemon } from "../../../agent/daemon/daemon";
import { ConnectionLostError, EXIT, SchemaChangedError } from "../../../agent/daemon/failure";
import { Lifecycle } from "../../../agent/daemon/lifecycle";
import * as session from "../../../agent/daemon/session";
import { createLog } from "../../../agent/host/log";
import { sleep } from "../../../agent/host/waiting";

jest.mock("../../../agent/daemon/session");

const JOB = parseEnvironment({
  SOURCE_URL: "postgres://source/shop",
  TABLES: "item",
  SINK_TYPE: "postgres",
  SINK_URL: "postgres://sink/copy",
});

/** A daemon whose sessions all replicate for `lastsMs` and break; `movesOn` in the sink before they do. */
function breaking({ lastsMs, movesOn }: { readonly lastsMs: number; readonly movesOn: boolean }) {
  const lifecycle = new Lifecycle();
  let sessions = 0;
  let status: number | undefined;
  jest.mocked(session.runSession).mockImplementation(async () => {
    sessions += 1;
    lifecycle.enter("cdc", "Replicating");
    lifecycle.confirmedLsn = movesOn ? BigInt(sessions) : 7n;
    await sleep(lastsMs);
    throw new SchemaChangedError("the columns of item have changed");
  });
  void runDaemon(
    JOB,
    lifecycle,
    createLog(() => {}),
  ).then((ended) => {
    status = ended;
  });
  return { sessions: () => sessions, status: () => status, stop: () => lifecycle.command("stop") };
}

beforeEach(() => {
  jest.useFakeTimers();
  jest.spyOn(Math, "random").mockReturnValue(1);
});
afterEach(() => {
  jest.useRealTimers();
  jest.restoreAllMocks();
});

test("sessions that break as soon as they replicate come ever more seldom, and are given up after a minute", async () => {
  const { sessions, status } = breaking({ lastsMs: 0, movesOn: false });
  await jest.advanceTimersByTimeAsync(70_000);
  expect(status()).toBe(EXIT.again);
  expect(sessions()).toBeLessThan(25);
});

test.each([
  ["get on", { lastsMs: 0, movesOn: true }],
  ["hold for a while", { lastsMs: 10_000, movesOn: false }],
])("sessions that %s are never given up", async (_, how) => {
  const { status, stop } = breaking(how);
  await jest.advanceTimersByTimeAsync(600_000);
  expect(status()).toBeUndefined();
  stop();
  await jest.advanceTimersByTimeAsync(10_000);
  expect(status()).toBe(EXIT.asked);
});

test("a slot that cannot be dropped, since a server is out of reach, is named, and the daemon may be started again for it", async () => {
  jest.mocked(session.runSession).mockImplementation(() => new Promise(() => {}));
  jest.mocked(session.removeSlot).mockImplementation(async () => {
    throw new ConnectionLostError("source:5432 did not answer within 10 s");
  });
  const lifecycle = new Lifecycle();
  lifecycle.dropSlot = true;
  lifecycle.command("stop");
  const lines: string[] = [];
  const status = runDaemon(
    JOB,
    lifecycle,
    createLog((line) => void lines.push(line)),
  );
  await jest.advanceTimersByTimeAsync(20_000);
  expect(await status).toBe(EXIT.again);
  expect(lines.join("")).toContain("the slot was not dropped");
  expect(lines.join("")).toContain('"slot":"dbmazz_slot","reason":"source:5432 did not answer within 10 s"');
});
