import { z } from "zod";

/** As `holdfast roll` takes a time: `90s`, `10m`, `2h`. */
const time = (what: string) =>
  z
    .string()
    .regex(/^\d+(\.\d+)?[smh]$/, { message: "should be a number and s, m or h, such as 90s, 10m or 2h" })
    .optional()
    .describe(what);
const text = (what: string) => z.string().min(1).optional().describe(what);
const count = (what: string) => z.int().min(1).optional().describe(what);
const yes = (what: string) => z.boolean().optional().describe(what);
const port = (what: string) => z.int().min(1).max(65_535).optional().describe(what);
const program = (what: string) => z.array(z.string().min(1)).min(1).optional().describe(what);

const checks = z.strictObject({
  http: text("URL that answers 2xx; {ip} and {node} stand for the node's own."),
  tcp: port("Port that accepts."),
  command: text("Program that ends with 0 where Terraform runs; NODE_ID and NODE_IP are in its environment."),
  on_node: text("Line of shell that ends with 0 on the node, through Systems Manager."),
  timeout: time("Limit of one check. Default: 5s, on a node 30s."),
});

const drain = z.strictObject({
  command: text("Program that takes a node out of use, where Terraform runs; DRAIN_ACTION is in its environment."),
  on_node: text("Line of shell that takes the node out of use, on the node, through Systems Manager."),
  undo_on_node: text("Line of shell that puts a drained node back that stays after all."),
});

const tlsFiles = z.strictObject({
  ca: text("Certificates that the servers' are checked against. Default: those of the system."),
  certificate: text("Certificate that the roller shows."),
  key: text("Its key."),
  server_name: text("Name that the servers' certificates are for. Default: the address that is asked."),
});

export const APPLICATION_KINDS = ["etcd", "zookeeper", "kafka", "mongodb", "patroni"] as const;

/** Everything that is said of any kind of application; {@link KEYS_OF_APPLICATION} says which goes with which. */
const application = z.strictObject({
  kind: z.enum(APPLICATION_KINDS).describe("What runs on the nodes."),
  port: port("Port that is asked. Default: 2379, 2181, 9092, 27017 or 8008, by the kind."),
  admin_port: port("Port of ZooKeeper's AdminServer, which is asked in place of the client port."),
  timeout_ms: count("Limit of one question to one node, in milliseconds. Default: 5000, of kafka 30000."),
  hand_over_timeout_ms: count("Time until another node leads and the member has stopped. Default: 60000."),
  stop: program("Program that stops the member, on its node. Default: systemctl stop of its service."),
  start: program("Program that starts it again when its node stays. Default: systemctl start of its service."),
  tls: tlsFiles
    .optional()
    .describe("The port that is asked speaks TLS. PEM files of the machine that Terraform runs on."),
  credentials_file: text("File with user:password, on the machine that Terraform runs on."),
  bin: text("Folder of Kafka's tools on the nodes. Default: /opt/kafka/bin."),
  command_config: text("Properties file on the nodes with what Kafka's tools need to log in."),
  node_ids: z
    .record(z.string(), z.int().min(0))
    .optional()
    .describe("Kafka's node.id by node_id. Default: the node_id as a number."),
  connection_file: text("File on the nodes with the connection string of the node's own MongoDB member."),
  max_lag_ms: count("A member that lags further behind is not well. Default: 10000."),
  step_down_ms: count("How long a primary that steps down does not stand again. Default: 60000."),
  max_lag_bytes: z.int().min(0).optional().describe("The same for PostgreSQL, in bytes of the log. Default: 1048576."),
});

type ApplicationKey = keyof typeof application.shape;
const OF_EVERY_KIND = ["kind", "port", "timeout_ms", "hand_over_timeout_ms", "stop", "start"] as const;

export const KEYS_OF_APPLICATION: Readonly<Record<(typeof APPLICATION_KINDS)[number], readonly ApplicationKey[]>> = {
  etcd: [...OF_EVERY_KIND, "tls", "credentials_file"],
  zookeeper: [...OF_EVERY_KIND, "admin_port", "tls"],
  kafka: [...OF_EVERY_KIND, "bin", "command_config", "node_ids", "max_lag_ms"],
  mongodb: [...OF_EVERY_KIND, "connection_file", "max_lag_ms", "step_down_ms"],
  patroni: [...OF_EVERY_KIND, "tls", "credentials_file", "max_lag_bytes"],
};

/** How an apply rolls a cluster: the options of `holdfast roll run`, with underscores. */
export const rollKeys = z.strictObject({
  when: z
    .enum(["apply", "none"])
    .default("none")
    .describe(
      "Whether an apply replaces the nodes whose launch template it changed; needs Node.js 20 or later where Terraform runs.",
    ),
  from_nodes: z
    .boolean()
    .default(false)
    .describe("Makes the document <name>-roll, by which a roll is started on a node, and the role that it takes."),
  role_arn: z
    .string()
    .regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/.+/, { message: "should be the ARN of a role" })
    .optional()
    .describe("Role that the roller assumes. Default: the credentials in the environment."),
  application: application
    .optional()
    .describe("What runs on the nodes, asked itself and handing over by itself; instead of checks and drain."),
  checks: checks.optional().describe("How the application is asked whether a node is well; all must agree."),
  drain: drain.optional().describe("What takes a node out of use before it goes."),
  strategy: z
    .enum(["suspend-launch", "scale-zero", "group-replaces"])
    .optional()
    .describe("How an instance is replaced. Default: suspend-launch."),
  on_failure: z
    .enum(["stop", "rollback"])
    .optional()
    .describe("What becomes of the touched nodes when one fails. Default: stop."),
  irreversible: yes("The release must not be rolled back. Default: false."),
  alarms: z.array(z.string().min(1)).min(1).optional().describe("CloudWatch alarms that stop the roll."),
  bake: time("How long each replaced node is watched. Default: 0s."),
  canary_bake: time("The same for the first one. Default: 0s."),
  confirm_after_first: yes("Pause after the first node, until `holdfast roll resume --confirm`; the apply ends there."),
  parallel_within_zone: count("Nodes of one zone that are replaced together, if the cluster accepts it. Default: 1."),
  successes: count("Healthy checks in a row before and after each node. Default: 3."),
  poll: time("Time between two looks. Default: 5s."),
  gate_timeout: time("How long a closed gate is waited for. Default: 30m."),
  drain_timeout: time("Limit of the drain. Default: 10m."),
  force_drain: yes("Go on when the drain fails. Default: false."),
  terminate_timeout: time("Limit for the old instance to go. Default: 30m."),
  launch_timeout: time("Limit for the new instance to be in service. Default: 60m."),
  health_timeout: time("Limit for the cluster to be healthy again. Default: 15m."),
  total_timeout: time("No node is begun after this. Default: 24h."),
});

export type RollDocument = z.output<typeof rollKeys>;
