import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { etcdMember } from "../../../../scripts/bench-rolling/servers/etcd-member";
import type { ClusterAdapter } from "../../../../scripts/rolling-update/clusters/cluster-adapter";
import { etcdCluster, etcdSettingsSchema } from "../../../../scripts/rolling-update/clusters/etcd";
import { jsonHttp } from "../../../../scripts/rolling-update/clusters/json-http";
import { PATIENCE_MS, type RunningCluster, startServers } from "../../../support/running-cluster";

const PASSWORD = "pass:word";

describe("the etcd adapter on a cluster with authentication", () => {
  let cluster: RunningCluster;
  let withCredentials: (text: string) => ClusterAdapter;
  let port = 0;
  beforeAll(async () => {
    cluster = await startServers({
      nodes: 1,
      ports: 2,
      program: ({ addresses, ports: [clientPort = 0, peerPort = 0], directory }, index) =>
        etcdMember({ addresses, clientPort, peerPort, directory }, index),
      adapter: (surroundings, place, member) => {
        port = place.ports[0] ?? 0;
        withCredentials = (text) => {
          const credentialsFile = join(place.directory, "credentials");
          writeFileSync(credentialsFile, text, { mode: 0o600 });
          return etcdCluster(surroundings, {
            ...etcdSettingsSchema.parse({ kind: "etcd", port, credentialsFile }),
            ...member,
          });
        };
        return etcdCluster(surroundings, { ...etcdSettingsSchema.parse({ kind: "etcd", port }), ...member });
      },
    });
    const http = jsonHttp(PATIENCE_MS);
    const calls: [string, unknown][] = [
      ["user/add", { name: "root", password: PASSWORD }],
      ["role/add", { name: "root" }],
      ["user/grant", { user: "root", role: "root" }],
      ["enable", {}],
    ];
    for (const [path, body] of calls) {
      const url = `http://${cluster.nodes[0]?.ip}:${port}/v3/auth/${path}`;
      expect(await http({ method: "POST", url, body })).toMatchObject({ status: 200 });
    }
  }, 400_000);
  afterAll(() => cluster?.close(), 120_000);

  test("R11: logs in with the credentials of a file", async () => {
    const { probe } = withCredentials(`root:${PASSWORD}\n`);

    expect([...(await probe.health(cluster.nodes)).values()]).toEqual([{ ok: true }]);
    expect(await probe.canRoll(cluster.nodes, cluster.nodes)).toEqual({ ok: true });
    expect(await probe.leader(cluster.nodes)).toBe("00");
  });

  test("R11: a wrong password is said, and not shown", async () => {
    const { probe } = withCredentials("root:wrong\n");

    const [answer] = [...(await probe.health(cluster.nodes)).values()];

    expect(answer).toEqual({ ok: false, reason: expect.stringContaining("authentication failed") });
    expect(JSON.stringify(answer)).not.toContain("wrong");
  });
});
