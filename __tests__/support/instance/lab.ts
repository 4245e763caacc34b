import { CLUSTER_PACKAGES, instanceImage } from "../../../scripts/rehearse/machines/image/image";
import { type Lab, openLab } from "../../../scripts/rehearse/machines/lab";
import { PATIENCE_MS } from "./until";

export interface TestLab {
  readonly lab: () => Lab;
  readonly image: () => string;
}

/** One for all clusters, so that it is built once. */
export const clusterImage = () => instanceImage(Object.values(CLUSTER_PACKAGES).flat());

/** Gives the tests of a file one lab, and the image that all tests share. */
export function useLab(): TestLab {
  jest.setTimeout(3 * PATIENCE_MS);
  let lab: Lab | undefined;
  let image = "";
  beforeAll(async () => {
    image = await clusterImage();
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
