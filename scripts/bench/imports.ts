import type { Bench } from "./bench";
import { measureNode } from "./measured-node";

const DEEP = ["autoscaling-group", "launch-template", "security-group", "iam-role", "vpc"];

/** Why the provider's index is never imported. */
export const imports: Bench = {
  name: "imports",
  about: "loading the AWS bindings: five resources by their own paths, against the index of all of them",
  run: async () => {
    const deep = await measureNode(["-e", DEEP.map((name) => `require("@cdktf/provider-aws/lib/${name}");`).join("")]);
    const root = await measureNode(["-e", 'require("@cdktf/provider-aws")'], 1);
    return [
      { case: "five resources", figures: { "CPU ms": deep.cpuMs, "peak MiB": deep.maxRssMiB } },
      { case: "the index", figures: { "CPU ms": root.cpuMs, "peak MiB": root.maxRssMiB } },
      {
        case: "index / five",
        figures: { "CPU ms": root.cpuMs / deep.cpuMs, "peak MiB": root.maxRssMiB / deep.maxRssMiB },
      },
    ];
  },
};
