import type { CredentialSource, Credentials } from "../host/credentials";
import { withDeadline } from "../host/waiting";

/** What a call may be held up by credentials that are to be renewed. */
const PATIENCE_MS = 2_000;

/**
 * Credentials that are used on while they cannot be renewed, which is tried some minutes before they expire: AWS says itself when they have,
 * and a worker of a queue would lose its jobs with each heartbeat that it cannot sign.
 */
export function steadyCredentials(source: CredentialSource): CredentialSource {
  let last: Credentials | undefined;
  const steady = async (): Promise<Credentials> => {
    const held = last;
    const renewed = source().then((credentials) => {
      last = credentials;
      return credentials;
    });
    return held ? await withDeadline("renew credentials", PATIENCE_MS, () => renewed).catch(() => held) : await renewed;
  };
  return Object.assign(steady, {
    forget: () => {
      last = undefined;
      source.forget();
    },
  });
}
