/** Shorter lines of a secret say nothing. */
const TELLING_LENGTH = 8;

/**
 * What no log may show of that with which a daemon is started: its passwords, and its files as a whole and line by line, as logs have
 * them. The longest come first: one that is a part of another would leave the rest of it.
 */
export function secretsOf(launch: {
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly files: Readonly<Record<string, string>>;
}): readonly string[] {
  const { SOURCE_URL, SINK_URL, SINK_PASSWORD = "" } = launch.variables;
  const secrets = [passwordOf(SOURCE_URL), passwordOf(SINK_URL), SINK_PASSWORD, ...Object.values(launch.files)];
  const lines = secrets.flatMap((secret) => secret.split("\n").filter(({ length }) => length >= TELLING_LENGTH));
  return [...new Set([...secrets, ...lines])]
    .filter((secret) => secret !== "")
    .sort((one, other) => other.length - one.length);
}

function passwordOf(url: string | undefined): string {
  if (url === undefined || !URL.canParse(url)) return "";
  const { password } = new URL(url);
  try {
    return decodeURIComponent(password);
  } catch {
    return password;
  }
}
