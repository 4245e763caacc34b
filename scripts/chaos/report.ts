import type { TableComparison } from "./check/equality";
import type { FencingResult } from "./check/fencing";

export interface ReportedFault {
  /** Since the first fault could have come. */
  readonly atMs: number;
  readonly fault: string;
  readonly outcome: string;
}

/** A run, whole: what was done, what came of it, and what should not have. */
export interface ChaosReport {
  readonly seed: number;
  readonly size: { readonly workers: number; readonly controlPlanes: number; readonly jobs: number };
  readonly network: string;
  readonly elapsedMs: number;
  readonly faults: readonly ReportedFault[];
  /** Transactions that were committed at the source. */
  readonly transactions: number;
  readonly tables: readonly Omit<TableComparison, "differences">[];
  readonly fencing: Omit<FencingResult, "violations">;
  /** Every broken promise; empty when the run is good. */
  readonly violations: readonly string[];
  /** Whether it was given up before all could be as promised. */
  readonly interrupted: boolean;
  /** Where the logs of all parts are; undefined when they are deleted. */
  readonly logs?: string;
}

/** The report as a person reads it. */
export function reportText(report: ChaosReport): string {
  const { seed, size, faults, tables, fencing, violations, transactions, elapsedMs } = report;
  const kinds = new Map<string, number>();
  for (const { fault, outcome } of faults) {
    if (outcome !== "done" && outcome !== "held to the deadline") continue;
    const kind = fault.replace(/ (of |worker-|control-plane-|job-).*/, "");
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const rows = tables.reduce((sum, { sourceRows }) => sum + sourceRows, 0);
  const equal = tables.filter(({ sourceRows, sinkRows }) => sourceRows === sinkRows).length;
  return [
    "",
    `seed ${seed}: ${size.workers} workers, ${size.controlPlanes} copies of the control plane, ${size.jobs} jobs, ${seconds(elapsedMs)}`,
    `network: ${report.network}`,
    `faults: ${[...kinds].map(([kind, count]) => `${count} × ${kind}`).join(", ") || "none"}`,
    `        ${faults.length} planned, ${[...kinds.values()].reduce((sum, count) => sum + count, 0)} felt`,
    `rows:   ${transactions} transactions at the source; ${rows} rows in ${tables.length} tables, ${equal} with as many in the sink`,
    `fences: ${fencing.claims} claims, ${fencing.writes} commits, ${fencing.refusedAwakened} refused to daemons that woke with a frozen machine`,
    ...(violations.length === 0
      ? ["result: every sink equals its source, no job ran twice, every job is accounted for"]
      : [
          report.interrupted
            ? "result: interrupted before it was known; what was not as promised by then:"
            : `result: ${violations.length} BROKEN PROMISE${violations.length === 1 ? "" : "S"}`,
          ...violations.map((violation) => `  - ${violation}`),
          `  repeat it: npm run chaos -- --seed ${seed}`,
        ]),
    ...(report.logs === undefined ? [] : [`logs:   ${report.logs}`]),
  ].join("\n");
}

export const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
