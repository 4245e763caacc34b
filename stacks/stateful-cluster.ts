import { TerraformOutput } from "cdktf";
import { rollManifest } from "../modules/stateful-cluster/roll-trigger";
import { StatefulCluster } from "../modules/stateful-cluster/stateful-cluster";
import type { DataVolumeProps, NodeFileProps, NodeScriptProps } from "../modules/stateful-node/node-props";
import { type ClusterDocument, clusterDocument } from "./cluster-document";
import { addRoll } from "./cluster-roll";
import { type DocumentVolume, volumesOfNode, wholeVolume } from "./cluster-volumes";
import { defineKind } from "./deployment-kind";

export const statefulCluster = defineKind({
  kind: "stateful-cluster",
  summary: "A cluster whose nodes keep their address and their data, such as ZooKeeper, etcd or Kafka.",
  schema: clusterDocument,
  build: (stack, document) => {
    const cluster = new StatefulCluster(stack, "cluster", clusterProps(document));
    new TerraformOutput(stack, "asg_names", { value: [...cluster.nodes.values()].map((node) => node.groupName) });
    const targets = [...cluster.nodes.values()].map((node) => node.rollTarget);
    new TerraformOutput(stack, "roll_manifest", { value: rollManifest(stack, document.name, targets) });
    new TerraformOutput(stack, "node_iam_role_name", { value: cluster.roleName });
    addRoll(stack, cluster, document.name, document.rolling_update);
  },
});

/** From the words of the document to those of the construct. */
function clusterProps(document: ClusterDocument): ConstructorParameters<typeof StatefulCluster>[2] {
  const { root_volume: root } = document;
  return {
    clusterName: document.name,
    imageId: document.node_image,
    instanceType: document.instance_type,
    ...(document.node_key_name === null ? {} : { keyName: document.node_key_name }),
    securityGroupIds: document.security_groups,
    dataVolume: volumeProps(document.default_data_volume),
    rootVolume: {
      deviceName: root.device_name,
      sizeGiB: root.size_in_gibs,
      type: root.type,
      ...(document.root_volume_kms_key_arn === null ? {} : { kmsKeyArn: document.root_volume_kms_key_arn }),
    },
    nodes: document.nodes.map((node) => ({
      nodeId: node.node_id,
      nodeIp: node.node_ip,
      subnetId: node.node_subnet_id,
      ...(node.node_image === undefined ? {} : { imageId: node.node_image }),
      ...(node.instance_type === undefined ? {} : { instanceType: node.instance_type }),
      ...nodeVolumes(document, node),
      files: filesOf(document, node.node_id),
      tags: node.tags,
    })),
    script: scriptProps(document),
    launchHookTimeoutSeconds: document.asg_lifecycle_hook_heartbeat_timeout,
    deadlines: {
      volumesSeconds: document.command_timeout_seconds,
      configureSeconds: document.configure_timeout_seconds,
      healthSeconds: document.health_timeout_seconds,
    },
    onBootFailure: document.on_boot_failure,
    metadataHopLimit: document.http_put_response_hop_limit,
    waitForCapacity: document.wait_for_capacity_timeout,
    finalSnapshot: document.final_snapshot,
    kmsKeyArns: document.kms_key_arns,
    tags: document.tags,
    ...(document.snapshots === null ? {} : { snapshots: snapshotProps(document.snapshots) }),
    ...(document.alarms === null ? {} : { alarms: alarmProps(document.alarms) }),
  };
}

const snapshotProps = ({ every_hours, start_at, keep }: NonNullable<ClusterDocument["snapshots"]>) => ({
  everyHours: every_hours,
  startAt: start_at,
  keep,
});

const alarmProps = (alarms: NonNullable<ClusterDocument["alarms"]>) => ({
  topicArns: alarms.topic_arns,
  belowCapacityMinutes: alarms.below_capacity_minutes,
  burstBalancePercent: alarms.burst_balance_percent,
  volumeLatencyMs: alarms.volume_latency_ms,
});

function nodeVolumes(document: ClusterDocument, node: ClusterDocument["nodes"][number]) {
  const [data, ...further] = volumesOfNode(document, node).map(
    (volume) => [volume.name, volumeProps(wholeVolume(volume))] as const,
  );
  return { ...(data && { dataVolume: data[1] }), additionalVolumes: Object.fromEntries(further) };
}

function volumeProps(volume: DocumentVolume): DataVolumeProps {
  return {
    deviceName: volume.device_name,
    sizeGiB: volume.size_in_gibs,
    type: volume.type,
    ...(volume.iops === undefined ? {} : { iops: volume.iops }),
    ...(volume.throughput_mib_per_sec === undefined ? {} : { throughput: volume.throughput_mib_per_sec }),
    ...(volume.kms_key_arn === undefined ? {} : { kmsKeyArn: volume.kms_key_arn }),
    mountPath: volume.mount_path,
    format: volume.file_system_type,
    mountOptions: volume.mount_params,
    ownerUser: volume.mount_path_owner_user,
    ownerGroup: volume.mount_path_owner_group,
    tags: volume.tags,
  };
}

function filesOf({ node_files, node_secret_files }: ClusterDocument, nodeId: string): NodeFileProps[] {
  const plain = node_files.filter((entry) => entry.node_id === nodeId).flatMap((entry) => entry.node_files_toupload);
  const secret = node_secret_files.filter((file) => file.node_id === undefined || file.node_id === nodeId);
  return [
    ...plain.map(({ destination, contents, owner, group, mode }) => ({
      path: destination,
      content: { text: contents },
      ...(owner === undefined ? {} : { user: owner }),
      ...(group === undefined ? {} : { group }),
      ...(mode === undefined ? {} : { mode }),
    })),
    ...secret.map(({ destination, secret_arn, parameter_name, owner, group, mode }) => ({
      path: destination,
      user: owner,
      group,
      mode,
      content: secret_arn === undefined ? { parameter: parameter_name ?? "" } : { secret: secret_arn },
    })),
  ];
}

function scriptProps(document: ClusterDocument): NodeScriptProps {
  const { node_config_script: script, node_config_script_s3_url: url } = document;
  if (url === null) return { text: script ?? "" };
  const [bucket = "", ...key] = url.slice("s3://".length).split("/");
  const { node_config_script_s3_version_id: versionId, node_config_script_s3_sha256: sha256 } = document;
  return { s3: { bucket, key: key.join("/"), versionId, sha256 } };
}
