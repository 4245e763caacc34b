/** What the shell is told. Stable: scripts and CI depend on them. */
export const EXIT = { well: 0, failed: 1, wrongUse: 2, interrupted: 130 } as const;
