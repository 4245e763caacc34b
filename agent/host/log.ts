export type Fields = Readonly<Record<string, unknown>>;

export interface Log {
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** From now on this value is printed as [redacted], wherever it stands in a line. */
  redact(secret: string): void;
}

/**
 * A log of one JSON object per line: time (RFC 3339, UTC), level, message, then the fields.
 *
 * @param write takes one line with its newline; standard output unless given.
 */
export function createLog(write?: (line: string) => void): Log {
  // A line for which there is no room, or that nobody reads, is left out: its error would end the process.
  if (!write) process.stdout.on("error", () => {});
  const secrets = new Set<string>();
  const line = (level: string) => (message: string, fields?: Fields) => {
    let text = JSON.stringify({ time: new Date().toISOString(), level, message, ...fields });
    for (const secret of secrets) text = text.replaceAll(secret, "[redacted]");
    if (write) write(`${text}\n`);
    else process.stdout.write(`${text}\n`);
  };
  return {
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    // As it is printed, that is, with JSON's escapes.
    redact: (secret) => void (secret && secrets.add(JSON.stringify(secret).slice(1, -1))),
  };
}

/** What went wrong, for a person: the message with the messages of its causes. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${reason(error.cause)}`;
}
