import { reason } from "../../host/log";
import { withDeadline } from "../../host/waiting";
import { databaseOf } from "../daemon/environment";
import { withoutSecrets } from "../without-secrets";
import { type Checks, type StepResult, type TestProps, type TestResult, unchecked } from "./check";
import { mysqlChecks } from "./mysql";
import { postgresChecks } from "./postgres";
import { addressOf, reachChecks } from "./reach";
import { starrocksChecks } from "./starrocks";

/** Half a second short of ten: the answer has a way to go. */
const TIMEOUT_MS = 9_500;
const DETAIL_LENGTH = 1_000;

/**
 * Tries a connection as a daemon of this worker would use it, step by step, up to the first that fails. It leaves nothing behind: what
 * it writes is rolled back, and it makes no slot.
 */
export async function testConnection({ timeoutMs = TIMEOUT_MS, ...wanted }: TestProps): Promise<TestResult> {
  const deadline = performance.now() + timeoutMs;
  const { steps: checks, close } = checksOf(wanted);
  const steps: StepResult[] = [];
  let failed = false;
  for (const { step, look } of checks) {
    const startedAt = performance.now();
    const note = (result: StepResult["result"], detail: string) => {
      const ms = result === "skipped" ? 0 : Math.round(performance.now() - startedAt);
      const text = withoutSecrets(detail, [wanted.connection.password]).slice(0, DETAIL_LENGTH);
      steps.push({ step, result, ms, detail: text });
    };
    if (failed) {
      note("skipped", "a step before it failed");
      continue;
    }
    try {
      const found = await withDeadline(step, Math.max(1, Math.round(deadline - startedAt)), look);
      if (typeof found === "string") note("ok", found);
      else note(found.result, found.detail);
    } catch (error) {
      failed = true;
      note("failed", reason(error) || "no reason was given");
    }
  }
  close();
  return { ok: !failed, steps };
}

function checksOf({ role, connection, plainConnectionsOnly }: TestProps): Checks {
  const address = addressOf(connection);
  if (!address) return refused("is not one with a host: correct it");
  if (databaseOf(connection) === undefined) {
    return refused("cannot be decoded: write %25 for a % that begins no escape");
  }
  if (connection.engine === "starrocks") return starrocksChecks({ connection, address });
  const reach = reachChecks(address);
  const { steps, close } = /^postgres/.test(connection.engine)
    ? postgresChecks({ role, connection, address, plainConnectionsOnly })
    : /^mysql/.test(connection.engine)
      ? mysqlChecks({ role, connection, address })
      : unknownChecks(connection.engine);
  return { steps: [...reach, ...steps], close };
}

function unknownChecks(engine: string): Checks {
  const steps = unchecked(["auth", "privileges", "write"], `of ${engine} only the address is tried`);
  return { steps, close: () => {} };
}

function refused(why: string): Checks {
  return {
    steps: [{ step: "dns", look: () => Promise.reject(new Error(`the datasource's url ${why}`)) }],
    close: () => {},
  };
}
