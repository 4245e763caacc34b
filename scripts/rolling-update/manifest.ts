import { readFileSync } from "node:fs";
import * as z from "zod/mini";
import { RollError } from "./roll-error";
import { inWords } from "./schema-messages";

const nodeSchema = z.strictObject({
  /** Node id of the cluster, e.g. "00". */
  id: z.string().check(z.minLength(1)),
  /** The node's Auto Scaling group, which holds exactly one instance. */
  group: z.string().check(z.minLength(1)),
  /** The fixed primary network interface. */
  interfaceId: z.string().check(z.regex(/^eni-/, "is a network interface id (eni-...)")),
  /** Data volumes the node attaches at boot. */
  volumeIds: z.array(z.string().check(z.regex(/^vol-/, "is a volume id (vol-...)"))),
  zone: z.string().check(z.minLength(1)),
  ip: z.string().check(z.minLength(1)),
  /**
   * The launch template version the deployment gave the group. A roll that starts right after the deployment may read the
   * group as it was before; with this it waits until it sees what was deployed.
   */
  template: z.optional(z.strictObject({ id: z.string().check(z.minLength(1)), version: z.int().check(z.positive()) })),
  /** Hash of configuration kept outside the launch template; compared with the instance's tag of the same meaning. */
  configHash: z.optional(z.string()),
});

const manifestSchema = z
  .strictObject({
    /** Name of the cluster; the prefix of its lock and journal. */
    cluster: z.string().check(z.regex(/^[a-zA-Z0-9_.-]+$/, "uses letters, digits, dot, dash and underscore")),
    accountId: z.string().check(z.regex(/^\d{12}$/, "is a 12-digit account id")),
    region: z.string().check(z.minLength(1)),
    /** A tag every group of the cluster carries; checked before anything is changed. */
    tag: z.strictObject({ key: z.string().check(z.minLength(1)), value: z.string() }),
    nodes: z.array(nodeSchema).check(z.minLength(1)),
  })
  .check(
    z.refine(({ nodes }) => allDiffer(nodes.map(({ id }) => id)), { path: ["nodes"], message: "node ids are unique" }),
    z.refine(({ nodes }) => allDiffer(nodes.map(({ group }) => group)), {
      path: ["nodes"],
      message: "every node has a group of its own",
    }),
  );

/** The cluster to roll, as the deployment knows it: which account, which groups, which interfaces and volumes. */
export type Manifest = z.infer<typeof manifestSchema>;
export type ManifestNode = z.infer<typeof nodeSchema>;

/** Tag on an instance that holds the configuration hash it booted with. */
export const CONFIG_HASH_TAG = "holdfast:config-hash";

/** Where one comes from that fits what is deployed. */
const NEXT =
  "`terraform output -raw roll_manifest > FILE` writes the deployment's own; hand it over with --cluster FILE";

/**
 * @param source what it was read from, for the message
 * @throws RollError MANIFEST_INVALID naming the field.
 */
export function parseManifest(value: unknown, source?: string): Manifest {
  const parsed = manifestSchema.safeParse(value, { error: inWords });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => [path.join("."), message].filter(Boolean).join(" "));
  const what = ["the cluster manifest", source].filter(Boolean).join(" ");
  throw new RollError("MANIFEST_INVALID", `${what} is none: ${problems.join("; ")}`, { next: NEXT });
}

/**
 * The manifest in a file, or without one the JSON in the environment variable HOLDFAST_CLUSTER.
 * @throws RollError MANIFEST_INVALID when there is none, it is not JSON or does not match.
 */
export function manifestFrom(file: string | undefined): Manifest {
  const text = process.env.HOLDFAST_CLUSTER;
  if (file === undefined && text === undefined) {
    throw new RollError("MANIFEST_INVALID", "no cluster is named", {
      next: `${NEXT}, or its JSON in HOLDFAST_CLUSTER`,
    });
  }
  const source = file ?? "in HOLDFAST_CLUSTER";
  let value: unknown;
  try {
    value = JSON.parse(file === undefined ? (text ?? "") : readFileSync(file, "utf8"));
  } catch (error) {
    throw new RollError("MANIFEST_INVALID", `cannot read the cluster manifest ${source}`, {
      reason: (error as Error).message,
      next: NEXT,
    });
  }
  return parseManifest(value, source);
}

function allDiffer(texts: readonly string[]): boolean {
  return new Set(texts).size === texts.length;
}
