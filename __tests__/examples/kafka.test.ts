import { join } from "node:path";
import { ScriptSandbox } from "../support/script-sandbox";

const CLUSTER = "4L6g3nShT-eMCtK--X86sw";
const MEMBERS = "00 10.0.0.10\n01 10.0.1.10\n02 10.0.2.10\n";

/** kafka-storage.sh of Kafka 3.9: the options it takes, and what it refuses. */
const STORAGE = `
[ "$1 $2 $4 $#" = "format --cluster-id --config 5" ] || { echo "usage: kafka-storage format --cluster-id X --config F" >&2; exit 1; }
[[ $3 =~ ^[A-Za-z0-9_-]{22}$ ]] || { echo "Cluster ID string $3 does not appear to be a valid UUID" >&2; exit 1; }
property() { sed -n "s/^$1=//p" "$CONFIG"; }
CONFIG=$5
directory=$(property log.dirs) node=$(property node.id)
grep -q "^controller.quorum.voters=.*\\b$node@" "$CONFIG" || { echo "node.id $node must be among controller.quorum.voters" >&2; exit 1; }
[ -d "$directory" ] || exit 1
[ ! -e "$directory/meta.properties" ] || { echo "Log directory $directory is already formatted. Use --ignore-formatted to ignore this directory and format the others." >&2; exit 1; }
printf '#\\nversion=1\\ncluster.id=%s\\nnode.id=%s\\ndirectory.id=Ab0\\n' "$3" "$node" >"$directory/meta.properties"`;

/** A tool of the broker: says what it is made to say at this moment, or cannot reach the broker. */
const tool = (options: string) => `
[ "$1 $2" = "--bootstrap-server 10.0.0.10:9092" ] || { echo "no broker at $2" >&2; exit 1; }
case "\${*:3}" in ${options}) ;; *) echo "unknown options \${*:3}" >&2; exit 1 ;; esac
exec cat "$SANDBOX/moments/$(cat "$SANDBOX/now")/\${*: -1}"`;

let node: ScriptSandbox;
afterEach(() => node.remove());

function given(files: Readonly<Record<string, string>> = {}): ScriptSandbox {
  node = new ScriptSandbox({
    script: join(__dirname, "../../examples/kafka/node-config-script.sh"),
    users: ["kafka"],
    programs: {
      "/opt/kafka/bin/kafka-storage.sh": STORAGE,
      "/opt/kafka/bin/kafka-metadata-quorum.sh": tool('"describe --replication"'),
      "/opt/kafka/bin/kafka-topics.sh": tool(
        '"--describe --under-min-isr-partitions" | "--describe --under-replicated-partitions"',
      ),
    },
    files: { "/etc/holdfast/kafka-members": MEMBERS, "/etc/holdfast/kafka-cluster-id": `${CLUSTER}\n`, ...files },
  });
  return node;
}
const configure = (id = "01", ip = "10.0.1.10") => node.call("configure_cluster_node", id, ip);

describe("configure_cluster_node", () => {
  test("names the voters, formats the directory once, and starts the broker on its mounted data", () => {
    given();

    expect(configure()).toEqual({ status: 0, output: "" });

    const config = node.read("/etc/holdfast/kafka.properties");
    expect(config).toContain(
      "node.id=1\ncontroller.quorum.voters=0@10.0.0.10:9093,1@10.0.1.10:9093,2@10.0.2.10:9093\n",
    );
    expect(config).toContain("listeners=PLAINTEXT://10.0.1.10:9092,CONTROLLER://10.0.1.10:9093\n");
    expect(config).toContain("default.replication.factor=3\n");
    expect(config).toContain("min.insync.replicas=2\n");
    expect(node.read("/data/kafka/meta.properties")).toContain(`cluster.id=${CLUSTER}\nnode.id=1\n`);
    expect(node.read("/etc/systemd/system/kafka.service")).toContain("RequiresMountsFor=/data/kafka\n");
    expect(node.calls).toEqual(["systemctl daemon-reload", "systemctl enable kafka", "systemctl restart kafka"]);
  });

  test("called again, and on a volume that comes back with its data, formats nothing and writes the same", () => {
    given();
    configure();
    const written = () => [node.read("/data/kafka/meta.properties"), node.read("/etc/holdfast/kafka.properties")];
    const before = written();

    expect(configure().status).toBe(0);
    expect(written()).toEqual(before);
  });

  test("a cluster of one keeps one copy", () => {
    given({ "/etc/holdfast/kafka-members": "07 10.0.0.10\n" });

    expect(configure("07", "10.0.0.10").status).toBe(0);
    expect(node.read("/etc/holdfast/kafka.properties")).toMatch(
      /default\.replication\.factor=1\n[\s\S]*min\.insync\.replicas=1\n/,
    );
    expect(node.read("/etc/holdfast/kafka.properties")).toContain("node.id=7\n");
  });

  test.each<[string, Readonly<Record<string, string>>, string]>([
    [
      "a volume of another cluster",
      { "/data/kafka/meta.properties": "cluster.id=AAAAAAAAAAAAAAAAAAAAAA\nnode.id=1\n" },
      "belongs to another cluster or node",
    ],
    [
      "a volume of another node",
      { "/data/kafka/meta.properties": `cluster.id=${CLUSTER}\nnode.id=2\n` },
      "belongs to another cluster or node",
    ],
    ["data without a name", { "/data/kafka/__cluster_metadata-0/0.log": "x" }, "holds data but no meta.properties"],
    ["a cluster id that is none", { "/etc/holdfast/kafka-cluster-id": "$(reboot)\n" }, "kafka-storage.sh random-uuid"],
    ["members without this node", { "/etc/holdfast/kafka-members": "00 10.0.0.10\n" }, "one of them 01 10.0.1.10"],
    ["a member twice", { "/etc/holdfast/kafka-members": `${MEMBERS}1 10.0.3.10\n` }, "each once"],
    ["an address twice", { "/etc/holdfast/kafka-members": `${MEMBERS}03 10.0.0.10\n` }, "each once"],
    ["members with carriage returns", { "/etc/holdfast/kafka-members": MEMBERS.replaceAll("\n", "\r\n") }, "each once"],
    ["a member that is code", { "/etc/holdfast/kafka-members": `${MEMBERS}03 $(reboot)\n` }, "each once"],
    ["no members", { "/etc/holdfast/kafka-members": "" }, "one of them 01 10.0.1.10"],
  ])("refuses %s, and starts nothing", (_what, files, message) => {
    given(files);
    const before = node.read("/data/kafka/meta.properties");

    const { status, output } = configure();

    expect(status).toBe(1);
    expect(output).toContain(message);
    expect(node.calls).toEqual([]);
    expect(node.read("/data/kafka/meta.properties")).toBe(before);
  });

  test("takes no node id for arithmetic", () => {
    given();

    expect(configure("a[$(echo >$SANDBOX/owned)]").status).toBe(1);
    expect(node.read("/owned")).toBeUndefined();
  });
});

describe("wait_for_healthy_cluster", () => {
  /** kafka-metadata-quorum.sh describe --replication, from 3.9 on, with each node's lag. */
  const quorum = (...nodes: readonly [id: number, lag: number, status: string][]) =>
    [
      "NodeId\tDirectoryId           \tLogEndOffset\tLag\tLastFetchTimestamp\tLastCaughtUpTimestamp\tStatus",
      ...nodes.map(
        ([id, lag, status]) => `${id}\tAAAAAAAAAAAAAAAAAAAAAA\t${900 - lag}\t${lag}\t17000\t17000\t${status}`,
      ),
    ].join("\n");
  const GOOD = {
    "--replication": quorum([1, 0, "Leader"], [0, 1, "Follower"], [2, 0, "Follower"]),
    "--under-min-isr-partitions": "",
    "--under-replicated-partitions": "",
  };
  const behind = (replicas: string, isr: string) =>
    `\tTopic: orders\tPartition: 4\tLeader: 1\tReplicas: ${replicas}\tIsr: ${isr}\tElr: \tLastKnownElr: \n`;
  const wait = () => node.call("wait_for_healthy_cluster", "00", "10.0.0.10");

  test("is over once one controller leads and nothing is behind", () => {
    given().moments(GOOD);

    expect(wait()).toEqual({
      status: 0,
      output: "3 of 3 controllers keep up, 1 lead; 0 partitions lack copies, 0 are behind here\n",
    });
  });

  test("understands the columns of Kafka 3.3 too", () => {
    const columns = (line: string) =>
      line
        .split("\t")
        .filter((_, i) => i !== 1)
        .join("\t");
    given().moments({ ...GOOD, "--replication": GOOD["--replication"].split("\n").map(columns).join("\n") });

    expect(wait().status).toBe(0);
  });

  test.each<[string, Partial<Record<keyof typeof GOOD, string>>]>([
    ["the broker does not answer", { "--replication": undefined as unknown as string }],
    ["no controller leads", { "--replication": quorum([0, 0, "Follower"], [1, 0, "Follower"], [2, 0, "Follower"]) }],
    [
      "a minority keeps up",
      { "--replication": quorum([1, 0, "Leader"], [0, 5_000, "Follower"], [2, 9_000, "Follower"]) },
    ],
    ["observers are no voters", { "--replication": quorum([1, 0, "Leader"], [0, 0, "Observer"], [2, 0, "Observer"]) }],
    ["a partition cannot be written to", { "--under-min-isr-partitions": behind("0,1,2", "1") }],
    ["this node still copies a partition", { "--under-replicated-partitions": behind("2,0,1", "1,2") }],
  ])("goes on while %s", (_what, change) => {
    const moment = Object.fromEntries(Object.entries({ ...GOOD, ...change }).filter(([, text]) => text !== undefined));
    given().moments(moment as Record<string, string>, GOOD);

    expect(wait().status).toBe(0);
    node.moments(moment as Record<string, string>);
    expect(wait().status).toBeNull();
  });

  test("does not wait for copies on another node, whose number begins like this one's", () => {
    given().moments({ ...GOOD, "--under-replicated-partitions": behind("10,1,2", "1,2") });

    expect(wait().status).toBe(0);
  });
});
