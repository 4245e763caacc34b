import { z } from "zod";
import { inputSchema } from "../modules/publish/json-schema";
import { clusterInputs, DATA_DISK_KEYS, dataVolume, nodeFiles } from "../modules/stateful-cluster/cluster-inputs";
import { type Finding, finding, type Rule, withRules } from "../modules/worker-fleet/schema-rules";
import { allowed } from "./allowed";
import { missingKeys, volumesOfNode } from "./cluster-volumes";
import { rollKeys } from "./roll-keys";
import { ROLL_RULES } from "./roll-rules";

/** What is of use to callers of the published module only. */
const OF_THE_MODULE = {
  app_name: true,
  jq_download_url: true,
  asg_inservice_timeout_in_mins: true,
  manage_launch_hook: true,
} as const;

/** The published module's inputs, with text where Terraform has base64; the document's name is the cluster's. */
const keys = clusterInputs.omit(OF_THE_MODULE).extend({
  node_config_script: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe("Bash text that defines configure_cluster_node and wait_for_healthy_cluster."),
  node_files: z
    .array(nodeFiles(z.string().describe("Content, as text.")))
    .default([])
    .describe("Files of each node. Every node may read its user data: no secrets here."),
  final_snapshot: z
    .boolean()
    .default(true)
    .describe(
      "Whether a data volume that is destroyed, as that of a node that leaves the document, leaves a snapshot.",
    ),
  rolling_update: rollKeys
    .prefault({})
    .describe("Whether an apply replaces the nodes whose launch template it changed, one at a time, and how."),
});

export type ClusterDocument = { readonly name: string } & z.output<typeof keys>;
type Keys = z.output<typeof keys>;
const VOLUME = inputSchema(dataVolume);

function scriptIsGiven({ node_config_script, node_config_script_s3_url }: Keys): Finding[] {
  return finding(
    node_config_script === null && node_config_script_s3_url === null,
    ["node_config_script"],
    "should be given, or node_config_script_s3_url: without a script no node can join its cluster",
  );
}

function pinHasScript(document: Keys): Finding[] {
  return (["node_config_script_s3_version_id", "node_config_script_s3_sha256"] as const).flatMap((key) =>
    finding(
      document[key] !== null && document.node_config_script_s3_url === null,
      [key],
      "pins nothing: node_config_script_s3_url is not given",
    ),
  );
}

function nodesDiffer({ nodes }: Keys): Finding[] {
  return (["node_id", "node_ip"] as const).flatMap((key) =>
    nodes.flatMap((node, i) => {
      const first = nodes.findIndex((other) => other[key] === node[key]);
      return finding(first < i, ["nodes", i, key], `should be unique; nodes[${first}] has it too`);
    }),
  );
}

function disksAreKnown({ nodes }: Keys): Finding[] {
  return nodes.flatMap(({ node_data_disk }, i) =>
    Object.keys(node_data_disk).flatMap((key) =>
      finding(
        !DATA_DISK_KEYS.includes(key),
        ["nodes", i, "node_data_disk", key],
        `should not be there; a node may have its own ${DATA_DISK_KEYS.join(", ")}`,
      ),
    ),
  );
}

/** Its values are texts, as Terraform's callers write them. */
function disksAreVolumes(document: Keys): Finding[] {
  return document.nodes.flatMap((node, i) =>
    (dataVolume.safeParse(volumesOfNode(document, node)[0]?.values).error?.issues ?? [])
      .filter(({ path: [key = ""] }) => key in node.node_data_disk)
      .flatMap(({ path: [key = ""] }) =>
        finding(
          true,
          ["nodes", i, "node_data_disk", String(key)],
          `should be ${allowed(VOLUME.properties?.[String(key)] ?? {})}`,
        ),
      ),
  );
}

function filesHaveNodes({ nodes, node_files, node_secret_files }: Keys): Finding[] {
  const known = nodes.map(({ node_id }) => node_id);
  const message = `should be the node_id of a node; there are ${known.join(", ")}`;
  const check = (list: string, id: string | undefined, i: number) =>
    finding(id !== undefined && !known.includes(id), [list, i, "node_id"], message);
  return [
    ...node_files.flatMap(({ node_id }, i) => check("node_files", node_id, i)),
    ...node_secret_files.flatMap(({ node_id }, i) => check("node_secret_files", node_id, i)),
  ];
}

function secretsHaveOneSource({ node_secret_files }: Keys): Finding[] {
  return node_secret_files.flatMap(({ secret_arn, parameter_name }, i) =>
    finding(
      (secret_arn === undefined) === (parameter_name === undefined),
      ["node_secret_files", i],
      "should have one of secret_arn and parameter_name",
    ),
  );
}

function furtherVolumesAreWhole(document: Keys): Finding[] {
  return document.nodes.flatMap((node, i) =>
    volumesOfNode(document, node)
      .filter(({ name }) => name !== "data" && !(name in document.additional_data_volumes))
      .flatMap((volume) => {
        const missing = missingKeys(volume);
        const message = `should have ${missing.join(", ")} too: no volume of every node has this name`;
        return finding(missing.length > 0, ["nodes", i, ...volume.path], message);
      }),
  );
}

/** A pair of volumes is found where the cluster says it, or where the one node does that brings it about. */
function volumesDiffer(document: Keys): Finding[] {
  const everywhere = sharedPlaces({ ...document, node: { node_data_disk: {}, additional_data_volumes: {} } }, []);
  const own = document.nodes.flatMap((node, i) => sharedPlaces({ ...document, node }, ["nodes", i]));
  return everywhere.length > 0 ? everywhere : own;
}

interface NodeOfCluster extends Pick<Keys, "default_data_volume" | "additional_data_volumes"> {
  readonly node: Pick<Keys["nodes"][number], "node_data_disk" | "additional_data_volumes">;
}

function sharedPlaces({ node, ...cluster }: NodeOfCluster, path: Finding["path"]): Finding[] {
  return (["device_name", "mount_path"] as const).flatMap((key) => {
    const owners = new Map<unknown, string>();
    return volumesOfNode(cluster, node).flatMap((volume) => {
      const value = volume.values[key];
      const owner = owners.get(value);
      owners.set(value, volume.name === "data" ? "default_data_volume" : `additional_data_volumes.${volume.name}`);
      return finding(
        value !== undefined && owner !== undefined,
        [...path, ...volume.path, key],
        `should be its own; ${owner} has it too`,
      );
    });
  });
}

const RULES: readonly Rule<Keys>[] = [
  { reads: ["node_config_script", "node_config_script_s3_url"], findings: scriptIsGiven },
  { reads: ["node_config_script_s3_url"], findings: pinHasScript },
  { reads: ["nodes"], findings: nodesDiffer },
  { reads: ["nodes"], findings: disksAreKnown },
  { reads: ["default_data_volume", "nodes"], findings: disksAreVolumes },
  { reads: ["nodes", "node_files", "node_secret_files"], findings: filesHaveNodes },
  { reads: ["node_secret_files"], findings: secretsHaveOneSource },
  { reads: ["additional_data_volumes", "nodes"], findings: furtherVolumesAreWhole },
  { reads: ["default_data_volume", "additional_data_volumes", "nodes"], findings: volumesDiffer },
  ...ROLL_RULES,
];

/** What a document says of a stateful cluster. */
export const clusterDocument = withRules(keys, RULES);
