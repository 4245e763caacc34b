import { type DestinationStream, type Logger, pino } from "pino";
import { LogOutput } from "./log-output";

const STANDARD_OUTPUT = 1;

/** Names under which secrets travel: whatever is logged under them is replaced. */
const SECRET = ["password", "token", "authorization", "secret", "keyring", "databaseUrl"];

/** Structured logs, one JSON object a line. Bodies and headers are not logged; a secret that slips in is replaced by its name. */
export function createLogger(level = "info", destination: DestinationStream = new LogOutput(STANDARD_OUTPUT)): Logger {
  const paths = SECRET.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
  return pino({ level, redact: { paths, censor: "[redacted]" }, base: { service: "control-plane" } }, destination);
}
