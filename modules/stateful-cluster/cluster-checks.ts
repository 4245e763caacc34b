/**
 * A cluster that decides by majority gains nothing from an even number of nodes, and survives no loss with fewer than three: worth a
 * warning, not a refusal. https://developer.hashicorp.com/terraform/language/checks
 */
export const QUORUM_CHECK = {
  quorum: {
    assert: [
      {
        condition: "${length(var.nodes) >= 3 && length(var.nodes) % 2 == 1}",
        error_message:
          "Cluster ${var.app_name} has ${length(var.nodes)} nodes: a quorum survives the loss of a node from 3 nodes on, and an even " +
          "number survives no more losses than one node less.",
      },
    ],
  },
};

/** What is not pinned may differ between two nodes of one template version. */
export const UNPINNED_SCRIPT_CHECK = {
  script_is_pinned: {
    assert: [
      {
        condition:
          "${var.node_config_script_s3_url == null || var.node_config_script_s3_version_id != null || var.node_config_script_s3_sha256 != null}",
        error_message:
          "The node config script in S3 is not pinned: a changed script rolls no node, and replaced nodes run it at once. Give " +
          "node_config_script_s3_version_id (the version_id of the object) or node_config_script_s3_sha256.",
      },
    ],
  },
};

/** The same warning where the number of nodes is known: undefined for a good one. */
export function quorumWarning(clusterName: string, nodes: number): string | undefined {
  if (nodes >= 3 && nodes % 2 === 1) return undefined;
  return (
    `cluster ${clusterName} has ${nodes} nodes: a quorum survives the loss of a node from 3 nodes on, and an even number survives no ` +
    "more losses than one node less"
  );
}
