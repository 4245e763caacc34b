import { type Clock, jittered } from "./clock";
import { type Cloud, CloudError } from "./cloud";
import { intercept } from "./intercept";

const ATTEMPTS = 12;
const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 10_000;

/** The cloud, with throttling and other passing errors retried (doubling, jittered, capped); all else is thrown at once. */
export function retrying(cloud: Cloud, clock: Clock): Cloud {
  return intercept(cloud, async (_method, call) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof CloudError) || error.kind !== "transient" || attempt === ATTEMPTS) throw error;
        await clock.sleep(jittered(clock, Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), LONGEST_DELAY_MS)));
      }
    }
  });
}
