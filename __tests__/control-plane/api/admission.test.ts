import type { IncomingMessage } from "node:http";
import type { Pool } from "pg";
import { Admission } from "../../../control-plane/api/admission";
import type { RequestRefused } from "../../../control-plane/api/refusal";
import { LOOK_MS } from "../../../control-plane/api/suspect-tokens";
import { hashOf } from "../../../control-plane/store/tokens";

const NAT = "203.0.113.7";

/** A database that knows some operators' tokens, and counts what it is asked. */
function tokenDatabase(valid: Set<string>) {
  let asked = 0;
  const query = async (_: unknown, [hashes]: [Buffer[]]) => {
    asked += 1;
    const known = [...valid].map((token) => ({
      hash: hashOf(token),
      id: token,
      kind: "operator",
      deployment_id: null,
    }));
    return { rows: known.filter(({ hash }) => hashes.some((one) => one.equals(hash))) };
  };
  return { admission: new Admission({ query } as unknown as Pool), asked: () => asked };
}

const request = (token: string, remoteAddress = NAT) =>
  ({ headers: { authorization: `Bearer ${token}` }, socket: { remoteAddress } }) as IncomingMessage;

const statusOf = async (admitted: Promise<unknown>): Promise<number> =>
  await admitted.then(
    () => 200,
    ({ status }: RequestRefused) => status,
  );

let nowMs = 0;
beforeEach(() => {
  nowMs = 0;
  jest.useFakeTimers();
  jest.spyOn(performance, "now").mockImplementation(() => nowMs);
});
afterEach(() => {
  jest.useRealTimers();
  jest.restoreAllMocks();
});

async function pass(milliseconds: number): Promise<void> {
  nowMs += milliseconds;
  await jest.advanceTimersByTimeAsync(milliseconds);
}

it("control-plane 25: 10,000 wrong tokens a second from one address make ten reads a second, and lock out no right one behind it", async () => {
  const valid = new Set(["known-token"]);
  const { admission, asked } = tokenDatabase(valid);
  await admission.admit(request("known-token"), "operator");
  const statuses: Promise<number>[] = [];
  for (let second = 0; second < 3; second++) {
    for (let tenth = 0; tenth < 10; tenth++) {
      for (let guess = 0; guess < 1_000; guess++) {
        statuses.push(statusOf(admission.admit(request(`guess-${second}-${tenth}-${guess}`), "operator")));
      }
      await pass(LOOK_MS);
    }
  }
  const seconds = 3;
  // Twenty before it is noticed, then what the address is forgiven.
  expect(asked()).toBeLessThanOrEqual(1 + 20 + seconds + seconds * 10);

  // One that was right before is not held up; a new one for a tenth of a second.
  const before = asked();
  await admission.admit(request("known-token"), "operator");
  expect(asked()).toBe(before + 1);
  valid.add("newcomers-token");
  const newcomer = statusOf(admission.admit(request("newcomers-token"), "operator"));
  await pass(LOOK_MS);
  expect(await newcomer).toBe(200);
  expect(await statusOf(admission.admit(request("newcomers-token"), "operator", true))).toBe(200);
  expect(await statusOf(admission.admit(request("another-guess", "203.0.113.8"), "operator"))).toBe(401);

  const counts = { 200: 0, 401: 0, 429: 0 } as Record<number, number>;
  for (const status of await Promise.all(statuses)) counts[status] = (counts[status] ?? 0) + 1;
  expect(counts[200]).toBe(0);
  expect(counts[401]).toBeLessThanOrEqual(20 + seconds);
  expect(counts[429]).toBe(statuses.length - (counts[401] ?? 0));
});

it("control-plane 25: a flood that is larger than what is looked up is refused at once, and what waits is bounded", async () => {
  const { admission, asked } = tokenDatabase(new Set());
  const statuses = Array.from({ length: 20_000 }, (_, guess) =>
    statusOf(admission.admit(request(`guess-${guess}`), "operator")),
  );
  const settled = new Set<number>();
  statuses.forEach((status, index) => void status.then(() => settled.add(index)));
  await pass(0);

  expect(settled.size).toBeGreaterThan(9_900);
  await pass(11 * LOOK_MS);
  expect(new Set(await Promise.all(statuses))).toEqual(new Set([401, 429]));
  expect(asked()).toBeLessThanOrEqual(20 + 10);
});

it("control-plane 25: right tokens of a fleet that comes back at once through one address are all taken", async () => {
  const tokens = Array.from({ length: 2_000 }, (_, index) => `fleet-token-${index}`);
  const { admission } = tokenDatabase(new Set(tokens));

  const statuses = tokens.map((token) => statusOf(admission.admit(request(token), "operator", true)));
  await pass(LOOK_MS);
  await pass(LOOK_MS);

  expect(new Set(await Promise.all(statuses))).toEqual(new Set([200]));
});

it("control-plane 25: right tokens that are new use up nothing of what their address is forgiven", async () => {
  const tokens = Array.from({ length: 100 }, (_, index) => `fleet-token-${index}`);
  const { admission } = tokenDatabase(new Set(tokens));

  let taken = 0;
  for (const token of tokens) {
    void admission.admit(request(token), "operator").then(() => {
      taken += 1;
    });
    await pass(0);
  }

  expect(taken).toBe(tokens.length);
});

it("control-plane 25: the requests of one token are limited before the database is asked for it, those of others are not", async () => {
  const { admission, asked } = tokenDatabase(new Set(["eager-token", "other-token"]));
  await admission.admit(request("eager-token"), "operator");
  const statuses: number[] = [];
  for (let count = 1; count <= 500; count++)
    statuses.push(await statusOf(admission.admit(request("eager-token"), "operator")));

  expect(statuses).toEqual([...Array(399).fill(200), ...Array(101).fill(429)]);
  expect(asked()).toBe(400);
  expect(await statusOf(admission.admit(request("other-token"), "operator"))).toBe(200);
  await pass(1_000);
  expect(await statusOf(admission.admit(request("eager-token"), "operator"))).toBe(200);
});
