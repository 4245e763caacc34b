import type { Request } from "../../control-plane/protocol";

/** What a worker registers with. */
export const registrationOf = (
  workerId: string,
  sessionId: string,
  more: Partial<Request<"register">> = {},
): Request<"register"> => ({
  protocols: [1],
  workerId,
  sessionId,
  agentVersion: "1.0.0",
  daemonVersion: "1.0.0",
  pool: "default",
  labels: {},
  slots: 4,
  features: [],
  ...more,
});
