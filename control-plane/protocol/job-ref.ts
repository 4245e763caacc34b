import type { JobRef } from "./messages";

/** Which job under which fence, of something that says more. */
export const refOf = ({ jobId, fence }: JobRef): JobRef => ({ jobId, fence });

/** Whether both speak of the same job under the same fence. */
export const isSameRef = (one: JobRef, other: JobRef): boolean =>
  one.jobId === other.jobId && one.fence === other.fence;
