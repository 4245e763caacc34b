import { checkedStream } from "../../../agent/daemon/source/checked-stream";
import type { ReplicationStream, StreamMessage } from "../../../agent/daemon/source/stream";

const PERIOD_MS = 60_000;

/** A stream without a message, whose reader waits until it is woken. */
function quiet() {
  let wake = () => {};
  const stream: ReplicationStream = {
    next: () => new Promise<StreamMessage | undefined>((resolve) => (wake = () => resolve(undefined))),
    wake: () => wake(),
    acknowledge: () => {},
    serverWalEnd: 0n,
    close: () => {},
  };
  return stream;
}

test("a command that comes during the check does not wait for a message", async () => {
  let done = () => {};
  const checked = checkedStream(quiet(), PERIOD_MS, () => new Promise((resolve) => (done = resolve)));
  const read = checked.next();

  checked.wake();
  done();

  await expect(read).resolves.toBeUndefined();
});

test("a command that came before does not keep the next message from being waited for", async () => {
  const checked = checkedStream(quiet(), PERIOD_MS, async () => {});
  checked.wake();
  const first = checked.next();
  await new Promise((resolve) => setImmediate(resolve));
  checked.wake();
  await first;

  let answered = false;
  void checked.next().then(() => (answered = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(answered).toBe(false);
});
