import { architectureOf } from "./architecture";
import { type FleetConfig, fleetKeys } from "./fleet-keys";
import { type Finding, finding, type Rule, withRules } from "./schema-rules";

function sourceOfJobs({ control_plane, pools }: FleetConfig): Finding[] {
  const inNeed = Object.entries(pools).find(([, { backlog }]) => backlog.source === "control-plane");
  return finding(
    control_plane === undefined && inNeed !== undefined,
    ["control_plane"],
    `is needed: pool ${inNeed?.[0]} takes its jobs from there; give it a queue (backlog.source: sqs) to do without`,
  );
}

function privateLinkNetwork({ control_plane, network }: FleetConfig): Finding[] {
  const private_link = control_plane?.private_link;
  if (private_link === undefined) {
    return [];
  }
  return [
    ...finding(
      network.create === undefined &&
        network.route_table_ids === undefined &&
        !network.existing_endpoints?.some(({ service }) => service === "s3"),
      ["network", "route_table_ids"],
      "is needed with control_plane.private_link: its S3 gateway is a route",
    ),
    ...finding(
      network.create?.nat_gateways !== undefined,
      ["network", "create", "nat_gateways"],
      "contradicts control_plane.private_link, which has no way to the internet; drop one",
    ),
  ];
}

function existingEndpoints({ control_plane, network: { existing_endpoints = [] } }: FleetConfig) {
  const private_link = control_plane?.private_link;
  const path = (i: number, key: string) => ["network", "existing_endpoints", i, key];
  return [
    ...finding(
      existing_endpoints.length > 0 && private_link === undefined,
      ["network", "existing_endpoints"],
      "needs control_plane.private_link; without it workers use no endpoint",
    ),
    ...existing_endpoints.flatMap(({ service, security_group_id }, i) => [
      ...finding(
        existing_endpoints.findIndex((other) => other.service === service) !== i,
        path(i, "service"),
        "stands twice; a VPC has one endpoint of a service with private DNS",
      ),
      ...finding(
        service !== "s3" && security_group_id === undefined,
        path(i, "security_group_id"),
        `is needed with service ${service}, so that the workers' security group may reach it`,
      ),
      ...finding(
        service === "s3" && security_group_id !== undefined,
        path(i, "security_group_id"),
        "contradicts service s3, a gateway, which has none; drop it",
      ),
    ]),
  ];
}

function uniqueStatements({ iam: { additional_statements: statements } }: FleetConfig): Finding[] {
  return statements.flatMap(({ sid }, i) =>
    finding(
      statements.findIndex((other) => other.sid === sid) !== i,
      ["iam", "additional_statements", i, "sid"],
      "stands twice; a statement's sid is unique in its policy",
    ),
  );
}

function privateLinkEgress({ control_plane, egress }: FleetConfig): Finding[] {
  const private_link = control_plane?.private_link;
  if (private_link === undefined) {
    return [];
  }
  const { https_cidrs, other, ...databases } = egress;
  const lists: [(string | number)[], readonly string[]][] = [
    ...Object.entries(databases).map(([key, list]): [string[], string[]] => [["egress", key], list ?? []]),
    ...Object.entries(other).map(([key, { cidrs }]): [string[], string[]] => [
      ["egress", "other", key, "cidrs"],
      cidrs,
    ]),
  ];
  return [
    ...finding(
      https_cidrs !== undefined,
      ["egress", "https_cidrs"],
      "contradicts control_plane.private_link, where HTTPS goes to endpoints alone; drop one",
    ),
    ...lists.flatMap(([path, list]) =>
      list.flatMap((block, i) =>
        finding(opensAll(block), [...path, i], "reaches the internet, which control_plane.private_link rules out"),
      ),
    ),
  ];
}

function checksums({ pools, daemon_release: { sha256 } }: FleetConfig): Finding[] {
  return Object.entries(pools).flatMap(([name, { instance_types }]) =>
    instance_types.flatMap((type, i) => {
      const architecture = architectureOf(type);
      return finding(
        sha256[architecture] === undefined,
        ["pools", name, "instance_types", i],
        `runs ${architecture}, and daemon_release.sha256 has none for it; set daemon_release.sha256.${architecture}`,
      );
    }),
  );
}

function portRanges({ egress: { other } }: FleetConfig): Finding[] {
  return Object.entries(other).flatMap(([name, { from_port, to_port }]) =>
    finding(
      to_port !== undefined && to_port < from_port,
      ["egress", "other", name, "to_port"],
      `should be >= egress.other.${name}.from_port (${from_port})`,
    ),
  );
}

function sshSource({ ssh }: FleetConfig): Finding[] {
  return finding(
    ssh !== undefined && opensAll(ssh.cidr),
    ["ssh", "cidr"],
    "opens port 22 to everyone; name the block of a bastion or a VPN",
  );
}

function volumeKey({ unsafe, encryption }: FleetConfig): Finding[] {
  return finding(
    unsafe.unencrypted_root_volume && encryption.volume_kms_key_arn !== undefined,
    ["unsafe", "unencrypted_root_volume"],
    "contradicts encryption.volume_kms_key_arn; drop one",
  );
}

function opensAll(block: string): boolean {
  return /\/0+$/.test(block);
}

const RULES: readonly Rule<FleetConfig>[] = [
  { reads: ["control_plane.?", "pools.*.backlog"], findings: sourceOfJobs },
  { reads: ["control_plane.private_link.?", "network"], findings: privateLinkNetwork },
  { reads: ["control_plane.private_link.?", "egress"], findings: privateLinkEgress },
  { reads: ["pools.*.instance_types", "daemon_release.sha256"], findings: checksums },
  { reads: ["control_plane.private_link.?", "network"], findings: existingEndpoints },
  { reads: ["iam.additional_statements"], findings: uniqueStatements },
  { reads: ["egress.other"], findings: portRanges },
  { reads: ["ssh"], findings: sshSource },
  { reads: ["unsafe", "encryption"], findings: volumeKey },
];

/** What a document, or the caller of the published module, says of a worker fleet. */
export const fleetSchema = withRules(fleetKeys, RULES);
