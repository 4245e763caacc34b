import { type Clock, jittered } from "./clock";
import { CloudError } from "./cloud";
import { intercept } from "./intercept";

const ATTEMPTS = 12;
const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 10_000;

/** Of what is done beside the calls of AWS that a roll waits for: some seconds of patience, in tries. */
const FEW = 6;

/** The port, retried for some seconds. */
export function patient<Port extends object>(port: Port, clock: Clock): Port {
  return retrying(port, clock, FEW);
}

/** The port, with throttling and other passing errors retried (doubling, jittered, capped); all else is thrown at once. */
export function retrying<Port extends object>(port: Port, clock: Clock, attempts = ATTEMPTS): Port {
  return intercept(port, async (_method, call) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof CloudError) || error.kind !== "transient" || attempt === attempts) throw error;
        await clock.sleep(jittered(clock, Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), LONGEST_DELAY_MS)));
      }
    }
  });
}
