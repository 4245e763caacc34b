/** What a worker gets of a job that it was granted. */
import type { Checkpoint, Connection, JobSpec } from "../protocol/messages";
import { type SealedDatasource, unsealDatasource } from "./catalog";
import type { Prepared, Transaction } from "./database";
import type { Keyring } from "./seal";
import type { Ref } from "./sessions";

/** What a granted job's worker needs to know, credentials included. */
export interface Assignment {
  readonly attempt: number;
  readonly spec: JobSpec;
  readonly resume: Checkpoint | null;
}

/** A granted job, its credentials still sealed. */
export interface SealedAssignment extends Side<"source">, Side<"sink"> {
  id: string;
  deployment_id: string;
  name: string;
  tables: string[];
  snapshot: boolean;
  options: Record<string, string>;
  on_disconnect: "stop" | "keep";
  failures: number;
  checkpoint_seq: number | null;
  checkpoint_phase: Checkpoint["phase"];
  checkpoint_position: string;
}

/** The columns of a datasource, each with the side's name before it. */
type Side<Name extends string> = {
  [Column in keyof SealedDatasource as `${Name}_${Column}`]: SealedDatasource[Column];
};

const columnsOf = (side: "source" | "sink"): string =>
  ["id", "engine", "url", "username", "options", "sealed_password", "version"]
    .map((column) => `${side}.${column} as ${side}_${column}`)
    .join(", ");

/** The ids stand beside the rows, as where jobs are written. */
const ASSIGNMENTS: Prepared = {
  name: "assignments",
  text: `
    select j.id, j.deployment_id, j.name, j.tables, j.snapshot, j.options, j.on_disconnect, j.failures,
      j.checkpoint_seq, j.checkpoint_phase, j.checkpoint_position, ${columnsOf("source")}, ${columnsOf("sink")}
    from jobs j join datasources source on source.id = j.source_id join datasources sink on sink.id = j.sink_id
    where j.id = any($1) and (j.id, j.fence, j.session_id) in (select * from unnest($1::uuid[], $2::bigint[], $3::uuid[]))`,
};

/** A job that is held, and by whom. */
export interface Held extends Ref {
  readonly sessionId: string;
}

/** Those of the jobs that are held by these sessions with these fences, after what the transaction has done before. */
export function sendForAssignments(tx: Transaction, held: readonly Held[]): Promise<readonly SealedAssignment[]> {
  if (held.length === 0) return Promise.resolve([]);
  return tx.send<SealedAssignment>(ASSIGNMENTS, [
    held.map(({ jobId }) => jobId),
    held.map(({ fence }) => fence),
    held.map(({ sessionId }) => sessionId),
  ]);
}

/** Opens a job's credentials. @throws Error when the keyring lacks their key, or they were tampered with. */
export function openAssignment(keyring: Keyring, job: SealedAssignment): Assignment {
  const connection = (side: "source" | "sink"): Connection =>
    unsealDatasource(keyring, job.deployment_id, {
      id: job[`${side}_id`],
      engine: job[`${side}_engine`],
      url: job[`${side}_url`],
      username: job[`${side}_username`],
      options: job[`${side}_options`],
      sealed_password: job[`${side}_sealed_password`],
      version: job[`${side}_version`],
    });
  return {
    attempt: job.failures + 1,
    spec: {
      name: job.name,
      source: connection("source"),
      sink: connection("sink"),
      tables: job.tables,
      snapshot: job.snapshot,
      onDisconnect: job.on_disconnect,
      options: job.options,
    },
    resume:
      job.checkpoint_seq === null
        ? null
        : { seq: job.checkpoint_seq, phase: job.checkpoint_phase, position: job.checkpoint_position },
  };
}
