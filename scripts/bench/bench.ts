/** One row of a bench: what was measured, and its figures by column. */
export interface Measurement {
  readonly case: string;
  readonly figures: Readonly<Record<string, number>>;
}

/** Told, as it happens, what a long bench has done so far. */
export type Progress = (line: string) => void;

/** Something whose cost is worth watching. Figures of one run are compared with each other, never with another machine's. */
export interface Bench {
  readonly name: string;
  /** What is measured, in one sentence. */
  readonly about: string;
  readonly run: (progress: Progress) => Promise<readonly Measurement[]>;
}
