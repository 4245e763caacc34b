import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod";
import type { OperatorContext } from "../operator-command";
import { OperatorError } from "../operator-error";
import { table } from "../table";

const Test = z.object({
  state: z.enum(["waiting", "answered", "expired"]),
  workerId: z.string(),
  ok: z.boolean().nullable(),
  steps: z.array(z.object({ step: z.string(), result: z.string(), ms: z.number(), detail: z.string() })),
});
type Test = z.output<typeof Test>;

const LOOK_MS = 250;

/** Has a worker test a connection and waits for the answer: the control plane lets no test wait for longer than 30 s. */
export async function testConnection(
  { api, err }: OperatorContext,
  datasource: string,
  base: string,
  wanted: { readonly role: unknown; readonly pool: string },
): Promise<Test> {
  const { id: testId } = await api.post(`${datasource}/test`, wanted, z.object({ id: z.string() }));
  err(`asked a worker of pool ${wanted.pool}, which has 30 s to answer\n`);
  for (;;) {
    const test = await api.get(`${base}/connection-tests/${testId}`, Test);
    if (test.state !== "waiting") return test;
    await pause(LOOK_MS);
  }
}

/** @throws OperatorError when the connection cannot be used. */
export async function showTest({ flags, out, print }: OperatorContext, name: string, test: Test): Promise<void> {
  const { state, workerId, ok, steps } = test;
  const where = `worker ${workerId}`;
  if (state === "expired") {
    throw new OperatorError("TEST_EXPIRED", `the test of ${name} was not answered in time`, {
      where,
      next: "look whether the worker is healthy (holdfast worker list), and repeat the command",
    });
  }
  const text = table(
    ["STEP", "RESULT", "MS", "DETAIL"],
    steps.map(({ step, result, ms, detail }) => [step, result, `${ms}`, detail]),
  );
  if (ok) return print(test, `${text}\n${name} can be used from ${where}`);
  if (!flags.json) out(`${text}\n`);
  const failed = steps.find(({ result }) => result === "failed");
  throw new OperatorError("CONNECTION_FAILED", `${name}: ${failed?.step ?? "test"}: ${failed?.detail ?? "failed"}`, {
    where,
    next: "correct it and repeat the command; holdfast datasource change changes address, user and password",
  });
}
