import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import type { Bench, Measurement } from "./bench";
import { measureNode } from "./measured-node";

const EXAMPLE = "deployments/content-backup.yaml";
const SIZES = [1, 10, 100] as const;

/** What synthesis costs as a deployment grows. */
export const synth: Bench = {
  name: "synth",
  about: `synthesizing ${EXAMPLE} with 1, 10 and 100 copies of its first pool, from a cold start`,
  run: async () => {
    const scratch = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
    try {
      const startup = await measureNode(["--import", "tsx", "main.ts", "--help"]);
      const measured = [];
      for (const pools of SIZES) {
        measured.push({ pools, ...(await synthesize(scratch, pools)) });
      }
      return [
        { case: "no document", figures: { "CPU ms": startup.cpuMs, "peak MiB": startup.maxRssMiB } },
        ...measured.map(({ pools, cpuMs, maxRssMiB, jsonKiB }) => ({
          case: `${pools} pool${pools === 1 ? "" : "s"}`,
          figures: { "CPU ms": cpuMs, "peak MiB": maxRssMiB, "JSON KiB": jsonKiB },
        })),
        growth(measured),
      ];
    } finally {
      rmSync(scratch, { recursive: true });
    }
  },
};

async function synthesize(scratch: string, pools: number) {
  const { pools: examples, ...rest } = parse(readFileSync(EXAMPLE, "utf8"));
  const [pool] = Object.values(examples);
  const copies = Object.fromEntries(Array.from({ length: pools }, (_, i) => [`pool-${i}`, pool]));
  const file = join(scratch, `${pools}.yaml`);
  const outdir = join(scratch, `${pools}.out`);
  writeFileSync(file, stringify({ ...rest, pools: copies }, { aliasDuplicateObjects: false }));
  const usage = await measureNode(["--import", "tsx", "main.ts", "--output", outdir, file]);
  return { ...usage, jsonKiB: statSync(join(outdir, "stacks", rest.name, "cdk.tf.json")).size / 1_024 };
}

/** Cost of a further pool among a hundred to that of one among ten: 1 is linear, 10 would be quadratic. */
function growth(
  measured: readonly { pools: number; cpuMs: number; maxRssMiB: number; jsonKiB: number }[],
): Measurement {
  const [one, ten, hundred] = measured;
  if (one === undefined || ten === undefined || hundred === undefined) {
    throw new Error("growth needs three sizes");
  }
  const perPool = (figure: "cpuMs" | "maxRssMiB" | "jsonKiB", small: typeof one, large: typeof one) =>
    (large[figure] - small[figure]) / (large.pools - small.pools);
  const ratio = (figure: "cpuMs" | "maxRssMiB" | "jsonKiB") =>
    perPool(figure, ten, hundred) / perPool(figure, one, ten);
  return {
    case: "growth per pool",
    figures: { "CPU ms": ratio("cpuMs"), "peak MiB": ratio("maxRssMiB"), "JSON KiB": ratio("jsonKiB") },
  };
}
