import { join } from "node:path";
import { ScriptSandbox } from "../support/script-sandbox";

const MEMBERS = "00 10.0.0.10\n01 10.0.1.10\n02 10.0.2.10\n";

/** etcdctl endpoint health: commits a proposal through the endpoint, or fails. */
const ETCDCTL = `
[ "$ETCDCTL_API $2 $3 $4 $#" = "3 --command-timeout=3s endpoint health 4" ] || { echo "unknown command $*" >&2; exit 1; }
host=\${1#--endpoints=http://}; host=\${host%:2379}
[ "$host" != 127.0.0.1 ] || host=$(cat "$SANDBOX/own")
[ -e "$SANDBOX/moments/$(cat "$SANDBOX/now")/$host" ] || { echo "$host is unhealthy: failed to commit proposal: context deadline exceeded" >&2; exit 1; }
echo "$host is healthy: successfully committed proposal: took = 2ms"`;

let node: ScriptSandbox;
afterEach(() => node.remove());

function given(files: Readonly<Record<string, string>> = {}): ScriptSandbox {
  node = new ScriptSandbox({
    script: join(__dirname, "../../examples/etcd/node-config-script.sh"),
    units: ["etcd"],
    users: ["etcd"],
    programs: { etcdctl: ETCDCTL },
    files: {
      "/etc/holdfast/etcd-members": MEMBERS,
      "/etc/default/etcd": "# of the package\n",
      "/own": "10.0.0.10",
      ...files,
    },
  });
  return node;
}
const configure = (id = "01", ip = "10.0.1.10") => node.call("configure_cluster_node", id, ip);

test("a first boot makes a member of a new cluster, and waits for none", () => {
  given();

  expect(configure()).toEqual({ status: 0, output: "" });
  expect(node.read("/etc/default/etcd")).toContain("ETCD_NAME=node-01\n");
  expect(node.read("/etc/default/etcd")).toContain(
    "ETCD_INITIAL_CLUSTER=node-00=http://10.0.0.10:2380,node-01=http://10.0.1.10:2380,node-02=http://10.0.2.10:2380\nETCD_INITIAL_CLUSTER_STATE=new\n",
  );
  expect(node.calls.at(-1)).toBe("systemctl restart --no-block etcd");
});

test("a node that comes back with its data is the member it was, however often it is configured", () => {
  given({ "/data/etcd/member/snap/db": "x" });

  for (let call = 0; call < 2; call++) expect(configure().status).toBe(0);
  expect(node.read("/etc/default/etcd")).toContain("ETCD_INITIAL_CLUSTER_STATE=existing\n");
  expect(node.read("/data/etcd/member/snap/db")).toBe("x");
});

test.each([
  ["a member twice", `${MEMBERS}01 10.0.3.10\n`],
  ["a member that is code", `${MEMBERS}03;reboot 10.0.3.10\n`],
  ["an address that is none", `${MEMBERS}03 $(reboot)\n`],
  ["members without this node", "00 10.0.0.10\n"],
])("%s is refused, and nothing is started", (_what, members) => {
  given({ "/etc/holdfast/etcd-members": members });

  expect(configure()).toMatchObject({
    status: 1,
    output: expect.stringContaining("each once, and one of them 01 10.0.1.10"),
  });
  expect(node.calls).toEqual([]);
});

test.each<[string, boolean, readonly string[]]>([
  ["it and another commit", true, ["10.0.0.10", "10.0.2.10"]],
  ["all commit", true, ["10.0.0.10", "10.0.1.10", "10.0.2.10"]],
  ["only others commit", false, ["10.0.1.10", "10.0.2.10"]],
  ["only it answers", false, ["10.0.0.10"]],
])("where %s, the cluster is healthy: %s", (_what, expected, healthy) => {
  given().moments(Object.fromEntries(healthy.map((ip) => [ip, ""])));

  expect(node.call("wait_for_healthy_cluster", "00", "10.0.0.10").status).toBe(expected ? 0 : null);
});
