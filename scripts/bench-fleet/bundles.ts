import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import type { Bench } from "../bench/bench";

/** Limit of user data, before it is encoded: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html */
const USER_DATA_BYTES = 16_384;

/** Carried by user data, compressed. */
const CARRIED = ["worker", "node"];
/** Fetched by the worker, or used on a machine of one's own. */
const FETCHED = ["worker-agent", "daemon"];

export const bundles: Bench = {
  name: "bundles",
  about:
    "the size of the programs that run on instances, and how much of user data's 16 KiB those take that it carries",
  run: async () =>
    [...CARRIED, ...FETCHED].map((name) => {
      const bytes = readFileSync(`dist/${name}.mjs`);
      const packed = gzipSync(bytes, { level: 9 }).length;
      const share = CARRIED.includes(name) ? { "% of 16 KiB": (packed / USER_DATA_BYTES) * 100 } : {};
      return { case: `${name}.mjs`, figures: { KiB: bytes.length / 1_024, "gzip KiB": packed / 1_024, ...share } };
    }),
};
