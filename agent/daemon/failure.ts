import { DatabaseError } from "pg";

/**
 * How the process ends. A supervisor restarts after 1 and 75 and leaves 77 and 78 to a person.
 * The numbers are those of sysexits.h; https://man.freebsd.org/cgi/man.cgi?sysexits
 */
export const EXIT = {
  /** It was asked to: stop, drain, SIGTERM; with INITIAL_SNAPSHOT_ONLY only once all is copied, or the slot was dropped. */
  asked: 0,
  /** A defect of this program. */
  defect: 1,
  /** Start again later: a server stayed out of reach, or INITIAL_SNAPSHOT_ONLY was ended with a part of its copy to do. */
  again: 75,
  /** A daemon with a newer fence, or a newer process, has the job. */
  fenced: 77,
  /** It will never work as it is set up: environment, privileges, schema, or a hole in the log. */
  setup: 78,
} as const;

/** What no repetition can mend. The message says what to change. */
export class SetupError extends Error {
  override readonly name = "SetupError";
}

/** How a job begins anew once its slot is gone. */
export const COPY_AGAIN =
  "delete its rows from holdfast.snapshot and then holdfast.replication, " +
  "empty the sink's tables and copy again with DO_SNAPSHOT=true";

/** Another daemon has taken the job over; nothing of this one may reach the sink any more. */
export class FencedError extends Error {
  override readonly name = "FencedError";
}

/** The other side went away: connect again and go on from the stored position. */
export class ConnectionLostError extends Error {
  override readonly name = "ConnectionLostError";
}

/** A table is not what the session took it for: compare source and sink again. */
export class SchemaChangedError extends Error {
  override readonly name = "SchemaChangedError";
}

/**
 * SQLSTATEs that another attempt may not meet: connection failures, lack of resources, a server that stops or starts, a slot that its last
 * reader has not left yet, deadlocks, a name that still leads to a server that was demoted, and our own session timeouts.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const RETRYABLE_SQLSTATE = /^(08...|53...|57P0[0-5]|58...|55006|55P03|57014|40001|40P01|25006|25P0[34])$/;
const RETRYABLE_SOCKET = /^(ECONN|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)/;

/** Whether the same work can succeed on a new connection. */
export function isTransient(error: unknown): boolean {
  if (error instanceof ConnectionLostError || error instanceof SchemaChangedError) return true;
  if (error instanceof DatabaseError) return RETRYABLE_SQLSTATE.test(error.code ?? "");
  if (error instanceof AggregateError) return error.errors.some(isTransient);
  if (!(error instanceof Error)) return false;
  return (
    RETRYABLE_SOCKET.test((error as NodeJS.ErrnoException).code ?? "") ||
    /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout expired)/.test(
      error.message,
    )
  );
}

export function exitStatus(error: unknown): number {
  if (isTransient(error)) return EXIT.again;
  if (error instanceof FencedError) return EXIT.fenced;
  if (error instanceof SetupError || error instanceof DatabaseError) return EXIT.setup;
  return EXIT.defect;
}
