import { setTimeout as sleep } from "node:timers/promises";
import { CLUSTER_PACKAGES, instanceImage } from "../../../scripts/rehearse/machines/image/image";
import { type Lab, openLab } from "../../../scripts/rehearse/machines/lab";

/** No measure of anything: longer than the slowest machine needs, so that only what never happens fails. */
export const PATIENCE_MS = 300_000;

export interface TestLab {
  readonly lab: () => Lab;
  readonly image: () => string;
}

/** Gives the tests of a file one lab, and the image that all tests share, so that it is built once. */
export function useLab(): TestLab {
  jest.setTimeout(3 * PATIENCE_MS);
  let lab: Lab | undefined;
  let image = "";
  beforeAll(async () => {
    image = await instanceImage(CLUSTER_PACKAGES.etcd);
    lab = await openLab();
  }, 4 * PATIENCE_MS);
  afterAll(() => lab?.close());
  return {
    image: () => image,
    lab: () => {
      if (lab === undefined) throw new Error("the lab is open from beforeAll on");
      return lab;
    },
  };
}

/** Waits until a condition holds. @throws Error with what `explain` says after {@link PATIENCE_MS}. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  explain: () => Promise<string> = async () => "",
): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) {
      throw new Error(`${what}: not within ${PATIENCE_MS / 1000} s\n${await explain()}`);
    }
    await sleep(200);
  }
}
