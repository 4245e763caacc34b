/** What both ends of the protocol measure by: the server's schemas and the agent's checker take their bounds from here. */

/** The protocol's major version: part of every path, and what `register` negotiates. */
export const PROTOCOL_VERSION = 1;

/** Where the messages live: a message's path is this and its name, its method is always POST. */
export const WORKER_PATH = "/worker/v1/";

/** Lower-case UUID, of any version: jobs, sessions, claims, campaigns, connection tests. */
export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Most jobs one message may speak of; a worker never has more slots. */
export const MAX_JOBS = 200;

/** Longest free text (a reason, a position in a log, a URL), in UTF-16 units. */
export const MAX_TEXT = 4096;

/** Longest duration on the wire: one day, in milliseconds. */
export const MAX_DURATION_MS = 86_400_000;

/** Longest that a claim may be parked: proxies between worker and server cut idle requests at 60 s. */
export const MAX_CLAIM_WAIT_MS = 50_000;
