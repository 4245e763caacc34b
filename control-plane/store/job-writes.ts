import type { Pool } from "pg";
import { type Claim, claimJobs, type GrantedJob } from "./claim";
import { inGroups } from "./group-commit";
import { type Report, reportJobs, type Start, startJobs } from "./holder";

/** The three writes of every run of a job: those of many workers that come at once share their commits. */
export interface JobWrites {
  readonly claim: (claim: Claim) => Promise<GrantedJob[]>;
  readonly start: (start: Start) => Promise<"started" | "fenced">;
  readonly report: (report: Report) => Promise<"reported" | "fenced">;
}

export function groupedJobWrites(pool: Pool): JobWrites {
  return {
    claim: inGroups((claims) => claimJobs(pool, claims)),
    start: inGroups((starts) => startJobs(pool, starts)),
    report: inGroups((reports) => reportJobs(pool, reports)),
  };
}
