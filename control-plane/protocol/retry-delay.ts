/** How long a failed job waits at most before its next attempt, in ms: twice as long after each failure, five minutes at most. */
export const longestRetryMs = (failures: number): number => Math.min(300_000, 1_000 * 2 ** failures);
