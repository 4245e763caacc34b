/** The replication slot that the agent gives a job that names none. */
export const slotOf = (jobId: string): string => `holdfast_${jobId.replaceAll("-", "")}`;
