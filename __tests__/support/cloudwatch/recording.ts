import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Samples } from "./recorded-metrics";

/** A fixture of __tests__/fixtures/metrics: minutes of metrics and where its figures come from. */
export interface Recording {
  readonly description: string;
  readonly origin: string;
  readonly minutes: number;
  readonly metrics: Readonly<Record<string, Samples>>;
}

interface RecordingFile extends Omit<Recording, "metrics"> {
  /** Runs of [how many minutes, the sample in the first minute of every `every` minutes]; null is no data. */
  readonly metrics: Readonly<
    Record<string, { readonly every: number; readonly runs: readonly [number, Samples[number]][] }>
  >;
}

/** Reads a recording and checks that each of its metrics covers all of its minutes. */
export function loadRecording(name: string): Recording {
  const path = join(__dirname, "../../fixtures/metrics", `${name}.json`);
  const file: RecordingFile = JSON.parse(readFileSync(path, "utf8"));
  const metrics = Object.fromEntries(
    Object.entries(file.metrics).map(([metric, { every, runs }]) => {
      const samples = runs.flatMap(([minutes, sample]) => Array.from({ length: minutes }, () => sample));
      if (samples.length !== file.minutes) {
        throw new Error(`${name}: ${metric} covers ${samples.length} minutes and should cover ${file.minutes}`);
      }
      return [metric, samples.map((sample, minute) => (minute % every === 0 ? sample : null))];
    }),
  );
  return { ...file, metrics };
}
