import type { Action, Request } from "../../../control-plane/protocol";

export type WantedTest = Extract<Action, { kind: "test_connection" }>;
export type TestResult = Omit<Request<"connection-test">, "testId">;
export type StepResult = TestResult["steps"][number];

/** What a check found where nothing stands in a job's way; a text alone means that all is well, `skipped` that nobody looked, and why. */
export type Finding = string | { readonly result: "warning" | "skipped"; readonly detail: string };

/** One step. It throws what stands in a job's way. */
export interface Check {
  readonly step: StepResult["step"];
  readonly look: (signal: AbortSignal) => Promise<Finding>;
}

/** Steps that cannot be tried, or not without a trace. */
export const unchecked = (steps: readonly StepResult["step"][], why: string): readonly Check[] =>
  steps.map((step) => ({ step, look: async () => ({ result: "skipped", detail: `not checked: ${why}` }) }));

/** The steps of one kind of database. */
export interface Checks {
  readonly steps: readonly Check[];
  /** Lets go of whatever is open. */
  readonly close: () => void;
}

export interface TestProps extends Pick<WantedTest, "role" | "connection"> {
  /** The daemon that jobs get connects without TLS, whatever is asked of it. */
  readonly plainConnectionsOnly: boolean;
  /** All steps together. @default 9500 */
  readonly timeoutMs?: number;
}
