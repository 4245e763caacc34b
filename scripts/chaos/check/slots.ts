/** The replication slot that the agent gives a job that names none: the rule of the control plane's protocol, which chaos may not import. */
export const slotOf = (jobId: string): string => `holdfast_${jobId.replaceAll("-", "")}`;
