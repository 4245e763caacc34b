import { type Log, reason } from "../../host/log";
import { type Backoff, fullJitterMs, sleep } from "../../host/waiting";
import type { ControlPlaneClient } from "../control-plane-client";
import type { DaemonQuirks } from "../daemon/quirks";
import { retryAfterMs } from "../heartbeats";
import type { SessionState } from "../session";
import type { TestResult, WantedTest } from "./check";
import { testConnection } from "./test-connection";

export interface ConnectionTestPorts {
  readonly controlPlane: ControlPlaneClient;
  readonly session: Pick<SessionState, "token">;
  readonly quirks: Pick<DaemonQuirks, "plainConnectionsOnly">;
  readonly log: Log;
}

const BACKOFF: Backoff = { baseMs: 250, capMs: 2_000 };
/** Tests that run at the same time: each holds connections to a database. */
const AT_ONCE = 4;

/**
 * Carries out the tests that the control plane asks for, each once however often it asks, and tells how they went until that is
 * heard or nobody waits for it any more.
 */
export function connectionTests(ports: ConnectionTestPorts): (wanted: WantedTest) => void {
  const underWay = new Set<string>();
  return (wanted) => {
    // One that finds no room is asked for again.
    if (underWay.has(wanted.testId) || underWay.size >= AT_ONCE) return;
    underWay.add(wanted.testId);
    carryOut(wanted, ports)
      .catch((error) => ports.log.error("connection not tested", { testId: wanted.testId, reason: reason(error) }))
      .finally(() => underWay.delete(wanted.testId));
  };
}

async function carryOut({ testId, role, connection, deadlineMs }: WantedTest, ports: ConnectionTestPorts) {
  const { log, quirks } = ports;
  const expiresAt = performance.now() + deadlineMs;
  const { plainConnectionsOnly } = quirks;
  const result = await testConnection({ role, connection, plainConnectionsOnly });
  const failed = result.steps.find((step) => step.result === "failed");
  log.info("connection tested", {
    testId,
    role,
    ok: result.ok,
    ...(failed && { step: failed.step, why: failed.detail }),
  });
  await tell(testId, result, expiresAt, ports);
}

async function tell(
  testId: string,
  result: TestResult,
  expiresAt: number,
  { controlPlane, session, log }: ConnectionTestPorts,
): Promise<void> {
  for (let attempt = 1; performance.now() < expiresAt; attempt++) {
    let waitMs = 0;
    try {
      if (session.token) return void (await controlPlane.post("connection-test", { testId, ...result }, session.token));
    } catch (error) {
      waitMs = retryAfterMs(error);
      log.warn("connection test not heard", { testId, attempt, reason: reason(error) });
    }
    await sleep(Math.max(fullJitterMs(attempt, BACKOFF), waitMs));
  }
}
