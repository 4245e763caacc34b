import type { JobSpec } from "./messages";

type Settings = Readonly<Record<string, string>>;

/** Of a job's specification, what its daemon's settings come from. */
export interface SettingsGiven {
  readonly source: { readonly options: Settings };
  readonly sink: { readonly options: Settings };
  readonly options: Settings;
}

/** Names of replication slots that PostgreSQL takes. */
export const SLOT_NAME = /^[a-z0-9_]{1,63}$/;

/** Settings of a job's daemon: the job's own count before its sink's, and those before its source's. */
export const settingsOf = ({ source, sink, options }: SettingsGiven): Settings => ({
  ...source.options,
  ...sink.options,
  ...options,
});

/** What a job's replication slot and publication are called where its settings name no other. */
export const replicationNameOf = (jobId: string): string => `holdfast_${jobId.replaceAll("-", "")}`;

/** The replication slot that a job's daemon makes in its source; undefined where it makes none: the source is not PostgreSQL. */
export function replicationSlotOf(
  jobId: string,
  spec: SettingsGiven & { readonly source: Pick<JobSpec["source"], "engine"> },
): string | undefined {
  const { SOURCE_SLOT_NAME: slot = replicationNameOf(jobId) } = settingsOf(spec);
  return /^postgres/.test(spec.source.engine) && SLOT_NAME.test(slot) ? slot : undefined;
}

/** What removes a slot; to be run in the source. */
export const dropOfSlot = (slot: string): string => `select pg_drop_replication_slot('${slot}')`;
