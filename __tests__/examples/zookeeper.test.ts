import { join } from "node:path";
import { ScriptSandbox } from "../support/script-sandbox";

const MEMBERS = "00 10.0.0.10\n01 10.0.1.10\n02 10.0.2.10\n";

/** netcat against the four letter words of each server at this moment; a server without a quorum says so. */
const NC = `
[ "$1 $2 $4 $#" = "-w 2 2181 4" ] || { echo "nc: bad arguments $*" >&2; exit 1; }
host=$3; [ "$host" != 127.0.0.1 ] || host=$(cat "$SANDBOX/own")
answer=$SANDBOX/moments/$(cat "$SANDBOX/now")/$host
[ -e "$answer" ] || exit 1
read -r word; [ "$word" = srvr ] || { echo "$word is not executed because it is not in the whitelist."; exit 0; }
mode=$(cat "$answer")
case $mode in
  no-quorum) echo "This ZooKeeper instance is not currently serving requests" ;;
  *) printf 'Zookeeper version: 3.8.0\\nLatency min/avg/max: 0/0.1/9\\nMode: %s\\nNode count: 5\\n' "$mode" ;;
esac`;

let node: ScriptSandbox;
afterEach(() => node.remove());

function given(files: Readonly<Record<string, string>> = {}): ScriptSandbox {
  node = new ScriptSandbox({
    script: join(__dirname, "../../examples/zookeeper/node-config-script.sh"),
    units: ["zookeeper"],
    users: ["zookeeper"],
    programs: { nc: NC },
    files: {
      "/etc/holdfast/zookeeper-ensemble": MEMBERS,
      "/etc/zookeeper/conf/zoo.cfg": "# of the package\n",
      "/etc/default/zookeeper": "# of the administrator\n",
      "/own": "10.0.0.10",
      ...files,
    },
  });
  return node;
}
const configure = (id = "01", ip = "10.0.1.10") => node.call("configure_cluster_node", id, ip);
const moment = (...modes: readonly (string | undefined)[]) =>
  Object.fromEntries(modes.flatMap((mode, i) => (mode ? [[`10.0.${i}.10`, mode]] : [])));

test("a server's number follows from its node id, and may be configured again", () => {
  given();
  for (let call = 0; call < 2; call++) expect(configure()).toEqual({ status: 0, output: "" });

  expect(node.read("/data/zookeeper/myid")).toBe("2\n");
  expect(node.read("/etc/zookeeper/conf/zoo.cfg")).toContain(
    "server.1=10.0.0.10:2888:3888\nserver.2=10.0.1.10:2888:3888\nserver.3=10.0.2.10:2888:3888\n",
  );
});

test("removing a node renumbers no other: its data would be another server's", () => {
  given({ "/etc/holdfast/zookeeper-ensemble": "00 10.0.0.10\n02 10.0.2.10\n08 10.0.8.10\n" });

  expect(configure("08", "10.0.8.10").status).toBe(0);
  expect(node.read("/data/zookeeper/myid")).toBe("9\n");
  expect(node.read("/etc/zookeeper/conf/zoo.cfg")).toContain(
    "server.3=10.0.2.10:2888:3888\nserver.9=10.0.8.10:2888:3888\n",
  );
});

test.each([
  ["a server twice", `${MEMBERS}1 10.0.3.10\n`],
  ["a number that ZooKeeper has not", `${MEMBERS}255 10.0.3.10\n`],
  ["a line of three", `${MEMBERS}03 10.0.3.10 observer\n`],
  ["an ensemble without this node", "00 10.0.0.10\n"],
])("%s is refused, and nothing is started", (_what, members) => {
  given({ "/etc/holdfast/zookeeper-ensemble": members });

  expect(configure()).toMatchObject({
    status: 1,
    output: expect.stringContaining("each once, and one of them 01 10.0.1.10"),
  });
  expect(node.calls).toEqual([]);
});

test.each<[string, readonly (string | undefined)[], boolean]>([
  ["it follows one of three", ["follower", "leader", undefined], true],
  ["it leads", ["leader", "follower", "follower"], true],
  ["it does not answer", [undefined, "leader", "follower"], false],
  ["it has no quorum", ["no-quorum", "leader", "follower"], false],
  ["none leads", ["follower", "follower", "follower"], false],
  ["two lead", ["leader", "leader", "follower"], false],
  ["it is alone", ["leader", undefined, undefined], false],
])("where %s, the ensemble is healthy: %#", (_what, modes, healthy) => {
  given().moments(moment(...modes));

  expect(node.call("wait_for_healthy_cluster", "00", "10.0.0.10").status).toBe(healthy ? 0 : null);
});
