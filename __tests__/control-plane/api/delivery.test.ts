import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { LeavingAsker, whenUndelivered } from "../../../control-plane/api/delivery";

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

/** An answer on a connection that many requests share. */
function answerOn(socket: Socket): ServerResponse {
  const answer = new ServerResponse(new IncomingMessage(socket));
  answer.assignSocket(socket);
  return answer;
}

/** Written to its end; the connection is free for the next. */
function deliver(answer: ServerResponse, socket: Socket): void {
  Object.defineProperty(answer, "writableFinished", { value: true });
  answer.detachSocket(socket);
  answer.emit("close");
}

const GRANT_MS = 10_000;

it("control-plane 11: an answer counts as delivered once its connection has outlived it for long enough", () => {
  const socket = new Socket();
  const before = socket.listenerCount("close");
  const undelivered: string[] = [];
  const answered = (name: string): void => {
    const answer = answerOn(socket);
    whenUndelivered(answer, GRANT_MS, () => undelivered.push(name));
    deliver(answer, socket);
  };
  for (let many = 0; many < 1_000; many++) answered("early");
  jest.advanceTimersByTime(GRANT_MS);
  expect(socket.listenerCount("close")).toBe(before);

  answered("late");
  socket.emit("close", true);
  expect(undelivered).toEqual(["late"]);
});

it("control-plane 11: an answer on a connection that is closed in order was delivered", () => {
  const socket = new Socket();
  const undelivered = jest.fn();
  const answer = answerOn(socket);
  whenUndelivered(answer, GRANT_MS, undelivered);
  deliver(answer, socket);
  socket.emit("close", false);
  expect(undelivered).not.toHaveBeenCalled();
});

it("control-plane 11: an answer that was not written to its end was not delivered", () => {
  const socket = new Socket();
  const undelivered = jest.fn();
  const answer = answerOn(socket);
  whenUndelivered(answer, GRANT_MS, undelivered);
  answer.emit("close");
  expect(undelivered).toHaveBeenCalledTimes(1);
});

it("control-plane 11: an asker has left whose answer is over before it was written to its end, and who listens no more is not told", () => {
  const socket = new Socket();
  const [left, answered, forgotten] = [
    answerOn(socket),
    new ServerResponse(new IncomingMessage(socket)),
    new ServerResponse(new IncomingMessage(socket)),
  ];
  const [told, untold] = [jest.fn(), jest.fn()];
  const leaving = new LeavingAsker(left);
  leaving.addEventListener("abort", told);
  new LeavingAsker(forgotten).addEventListener("abort", untold);
  new LeavingAsker(forgotten).removeEventListener("abort", untold);
  expect(leaving.aborted).toBe(false);

  left.destroy();
  left.emit("close");
  forgotten.emit("close");
  answered.destroyed = true;
  Object.defineProperty(answered, "writableFinished", { value: true });

  expect(leaving.aborted).toBe(true);
  expect(told).toHaveBeenCalledTimes(1);
  expect(untold).not.toHaveBeenCalled();
  expect(new LeavingAsker(answered).aborted).toBe(false);
});
