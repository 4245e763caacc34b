import type { z } from "zod";
import { additionalVolume, type clusterInputs, dataVolume } from "../modules/stateful-cluster/cluster-inputs";

type Inputs = Pick<z.output<typeof clusterInputs>, "default_data_volume" | "additional_data_volumes" | "nodes">;
export type DocumentVolume = z.output<typeof dataVolume>;

/** What a cluster says of one of a node's volumes, with what the node says of it on top: not all of it need be there. */
export interface MergedVolume {
  /** `data` for the one that every node has. */
  readonly name: string;
  /** Where the node says its part. */
  readonly path: readonly [string, ...string[]];
  readonly values: Readonly<Record<string, unknown>>;
}

/** Every data volume of a node. */
export function volumesOfNode(
  cluster: Omit<Inputs, "nodes">,
  node: Pick<Inputs["nodes"][number], "node_data_disk" | "additional_data_volumes">,
): MergedVolume[] {
  const { default_data_volume, additional_data_volumes: shared } = cluster;
  const own = node.additional_data_volumes;
  return [
    { name: "data", path: ["node_data_disk"], values: { ...default_data_volume, ...numbersIn(node.node_data_disk) } },
    ...Object.keys({ ...shared, ...own }).map((name) => ({
      name,
      path: ["additional_data_volumes", name] as const,
      values: { ...shared[name], ...own[name] },
    })),
  ];
}

/** The volume that merged values make. @throws ZodError where something is missing, which the rules of a document see first. */
export const wholeVolume = ({ name, values }: MergedVolume): DocumentVolume =>
  (name === "data" ? dataVolume : additionalVolume).parse(values);

/** Keys that a further volume must have and this one has not. */
export const missingKeys = ({ values }: MergedVolume): string[] =>
  (additionalVolume.safeParse(values).error?.issues ?? [])
    .filter(({ path: [key = ""] }) => values[String(key)] === undefined)
    .map(({ path }) => path.join("."));

/** A map of strings, as Terraform's callers write it, with its numbers as numbers. */
const numbersIn = (texts: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, /^\d+$/.test(text) ? Number(text) : text]));
