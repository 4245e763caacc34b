import { join } from "node:path";
import { useScratch } from "../../support/scratch";
import { useCannedControlPlane } from "./canned-control-plane";
import { holdfast } from "./holdfast";

const scratch = useScratch();
const plane = useCannedControlPlane();

it.each(["../datasources/6d0c1b7e", "..", "a/b", "a?b", "a#b", "%2e", ""])(
  "what is no token's id, such as '%s', names nothing else of the control plane",
  async (id) => {
    const environment = { HOLDFAST_URL: plane.url, HOLDFAST_TOKEN: "hfo_abcdefgh" };
    for (const words of [
      ["revoke", id],
      ["rotate", id, "--out", join(scratch.path, "token")],
    ]) {
      const { code, err } = await holdfast(["token", ...words, "--all-deployments"], environment);
      expect(code).toBe(1);
      expect(err).toContain("write the id of a token");
    }
    expect(plane.asked).toEqual([]);
  },
);
