import { shared } from "./shared";

/** Whoever scrapes or looks whether a copy is ready waits for a few seconds as a rule. */
const PATIENCE_MS = 3_000;
const SHARED_MS = 1_000;

/**
 * A question to the database that anybody who reaches the port may ask, without a token: it is asked once a second at most and never
 * while it is under way, so that however many ask, they take one connection from what workers send.
 * @returns undefined where the database fails, or does not answer in time
 */
export function publicQuestion<Answer>(
  ask: () => Promise<Answer>,
  patienceMs = PATIENCE_MS,
): () => Promise<Answer | undefined> {
  let underWay: Promise<Answer | undefined> | undefined;
  const answered = async (): Promise<Answer | undefined> => {
    try {
      return await ask();
    } catch {
      return undefined;
    }
  };
  return shared<void, Answer | undefined>(SHARED_MS, async () => {
    underWay ??= answered().finally(() => {
      underWay = undefined;
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, patienceMs, undefined);
    });
    const answer = await Promise.race([underWay, late]);
    clearTimeout(timer);
    return answer;
  });
}
