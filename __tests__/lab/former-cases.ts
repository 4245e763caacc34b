import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import {
  type Activity,
  AutoScalingClient,
  paginateDescribeAutoScalingGroups,
  paginateDescribeScalingActivities,
} from "@aws-sdk/client-auto-scaling";
import { writeModule } from "../../modules/publish/write-module";
import { STATEFUL_CLUSTER_MODULE } from "../../modules/stateful-cluster/published-module";
import { type EmulatedAws, startEmulatedAws } from "../../scripts/emulator/emulated-aws";
import { instantMachines } from "../../scripts/emulator/instant-machines";
import { terraformIn } from "../../scripts/emulator/terraform";
import { volumesOfUserData } from "../../scripts/rehearse/stage/volumes-of-user-data";

/** An image whose instances abandon their launch. */
export const BROKEN = "ami-00000000000000bad";

/** What a cluster's node may have of its own. */
export interface CaseNode {
  readonly image?: string;
  readonly instance_type?: string;
  /** Of its data volume, in GiB. */
  readonly size?: string;
}

/** One cluster, of the published module. */
export interface CaseCluster extends Omit<CaseNode, "size"> {
  /** Which sixteen addresses it has. */
  readonly network: number;
  /** Of `holdfast roll run`. */
  readonly options?: readonly string[];
  readonly nodes: Readonly<Record<string, CaseNode>>;
}

export type CaseClusters = Readonly<Record<string, CaseCluster>>;

/** Something a group did, with what came of it. */
export interface Deed {
  readonly what: "launch" | "termination";
  readonly status: string | undefined;
  readonly fromMs: number;
  /** Infinity where it goes on. */
  readonly untilMs: number;
}

/** A node's group as AWS shows it. */
export interface SeenNode {
  /** Version of its launch template that the group launches from. */
  readonly wanted: string | undefined;
  readonly instance: string | undefined;
  /** Version of the launch template that the instance was launched from. */
  readonly version: string | undefined;
  readonly inService: boolean;
  /** Everything its group has ever done, the oldest first. */
  readonly deeds: readonly Deed[];
}

/** What an apply left. */
export interface Applied {
  /** By cluster, what Terraform printed of what failed; "" where nothing did. */
  failure(cluster: string): string;
  /** Of the cluster, by node id. */
  nodes(cluster: string): Readonly<Record<string, SeenNode>>;
  /** EC2, Auto Scaling and Systems Manager actions that change something. */
  readonly changing: readonly string[];
}

/** A root that calls the published module once for each cluster, and the emulated AWS that it is applied to. */
export async function openCases(clusters: CaseClusters) {
  const aws = await startEmulatedAws({
    machines: (it) =>
      instantMachines(it, {
        volumesOf: async ({ id }) => volumesOfUserData((await it.facts({ instanceId: id }))?.userData),
        outcome: ({ imageId }) => (imageId === BROKEN ? "ABANDON" : "CONTINUE"),
      }),
  });
  const credentials = { accessKeyId: "emulator", secretAccessKey: "emulator" };
  const client = { region: "us-west-2", endpoint: aws.url, credentials };
  const autoScaling = new AutoScalingClient(client);
  const directory = mkdtempSync(join(tmpdir(), "holdfast-former-cases-"));
  writeModule(STATEFUL_CLUSTER_MODULE, join(directory, "cluster"));
  writeFileSync(join(directory, "network.tf.json"), JSON.stringify(NETWORK));
  const terraform = terraformIn(directory, aws);
  const write = (clusters: CaseClusters) => {
    const module = Object.fromEntries(Object.entries(clusters).map(([name, cluster]) => [name, callOf(name, cluster)]));
    writeFileSync(join(directory, "clusters.tf.json"), JSON.stringify({ module }));
  };
  write(clusters);
  await terraform.init().catch(async (error: Error) => {
    await aws.stop();
    throw error;
  });

  return {
    aws,
    client,
    autoScaling,
    look: () => look(autoScaling),
    /** The clusters that there were from the beginning, as they are to be now. */
    apply: async (clusters: CaseClusters): Promise<Applied> => {
      write(clusters);
      const { changing, end } = recordChanges(aws);
      const output = await terraform.apply("-parallelism=30").then(
        () => "",
        (error: Error) => stripVTControlCharacters(error.message),
      );
      end();
      return { failure: (cluster) => failureOf(output, cluster), nodes: await look(autoScaling), changing };
    },
    close: async () => {
      await aws.stop();
      rmSync(directory, { recursive: true });
    },
  };
}

const ZONES = ["a", "b", "c"];

const NETWORK = {
  terraform: { required_providers: { aws: { source: "hashicorp/aws" }, null: { source: "hashicorp/null" } } },
  provider: { aws: [{ region: "us-west-2" }] },
  resource: {
    aws_vpc: { this: { cidr_block: "10.60.0.0/16" } },
    aws_subnet: Object.fromEntries(
      ZONES.map((zone, index) => [
        zone,
        { vpc_id: "${aws_vpc.this.id}", availability_zone: `us-west-2${zone}`, cidr_block: `10.60.${index}.0/24` },
      ]),
    ),
    aws_security_group: { this: { name: "nodes", vpc_id: "${aws_vpc.this.id}" } },
  },
};

/** A block of its own for each: what fails in one instance of a module with `for_each` holds up the others. */
function callOf(name: string, { network, image, instance_type, options = [], nodes }: CaseCluster) {
  const script = "configure_cluster_node() { :; }\nwait_for_healthy_cluster() { :; }\n";
  return {
    source: "./cluster",
    app_name: name,
    node_image: image ?? "ami-0123456789abcdef0",
    instance_type: instance_type ?? "t3.small",
    security_groups: ["${aws_security_group.this.id}"],
    nodes: Object.entries(nodes).map(([id, { image: node_image, instance_type, size }]) => {
      const zone = Number(id) % ZONES.length;
      return {
        node_id: id,
        node_ip: `10.60.${zone}.${network * 16 + Number(id) + 4}`,
        node_subnet_id: `\${aws_subnet.${ZONES[zone]}.id}`,
        ...(node_image && { node_image }),
        ...(instance_type && { instance_type }),
        ...(size && { node_data_disk: { size_in_gibs: size } }),
      };
    }),
    node_config_script: Buffer.from(script).toString("base64"),
    rolling_update: { when: "apply", options: ["--poll", "1s", "--successes", "1", ...options] },
    default_data_volume: {
      size_in_gibs: 20,
      type: "gp3",
      mount_path: "/data",
      file_system_type: "xfs",
      mount_path_owner_user: "root",
      mount_path_owner_group: "root",
    },
  };
}

function recordChanges({ faults }: EmulatedAws) {
  const changing: string[] = [];
  const { refuse } = faults;
  faults.refuse = (call) => {
    if (!/^(Describe|Get|List)/.test(call.action)) changing.push(call.action);
    return refuse(call);
  };
  return {
    changing,
    end: () => {
      faults.refuse = refuse;
    },
  };
}

/** On one line, without Terraform's frames. */
function failureOf(output: string, cluster: string): string {
  const failures = output.split(/^Error: /m).slice(1);
  return failures
    .filter((text) => text.includes(`module.${cluster}.`))
    .join(" ")
    .replace(/[\s│]+/g, " ");
}

async function look(client: AutoScalingClient): Promise<Applied["nodes"]> {
  const seen = new Map<string, SeenNode>();
  for await (const { AutoScalingGroups = [] } of paginateDescribeAutoScalingGroups({ client }, {})) {
    for (const { AutoScalingGroupName = "", LaunchTemplate, Instances = [] } of AutoScalingGroups) {
      const [member] = Instances;
      seen.set(AutoScalingGroupName, {
        wanted: LaunchTemplate?.Version,
        instance: member?.InstanceId,
        version: member?.LaunchTemplate?.Version,
        inService: member?.LifecycleState === "InService" && member.HealthStatus === "Healthy",
        deeds: await deedsOf(client, AutoScalingGroupName),
      });
    }
  }
  return (cluster) => {
    const prefix = `${cluster}-node-`;
    const own = [...seen].filter(([name]) => name.startsWith(prefix));
    return Object.fromEntries(own.map(([name, node]) => [name.slice(prefix.length), node] as const).sort());
  };
}

async function deedsOf(client: AutoScalingClient, group: string): Promise<readonly Deed[]> {
  const activities: Activity[] = [];
  for await (const page of paginateDescribeScalingActivities({ client }, { AutoScalingGroupName: group })) {
    activities.unshift(...(page.Activities ?? []).reverse());
  }
  return activities.map(({ Description, StatusCode, StartTime, EndTime }) => ({
    what: Description?.startsWith("Launching") ? "launch" : "termination",
    status: StatusCode,
    fromMs: StartTime?.getTime() ?? 0,
    untilMs: EndTime?.getTime() ?? Number.POSITIVE_INFINITY,
  }));
}
