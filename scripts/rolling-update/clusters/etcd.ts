import { readFileSync } from "node:fs";
import * as z from "zod/mini";
import type { ManifestNode } from "../manifest";
import { HEALTHY, type NodeHealth, unhealthy } from "../probe";
import type { ClusterAdapter, Surroundings } from "./cluster-adapter";
import { handOver } from "./hand-over";
import { jsonHttp } from "./json-http";
import { answersOf, healthOf, quorumStays } from "./quorum";
import { memberSettings } from "./settings";
import { tlsFilesSchema } from "./tls-files";

export const etcdSettingsSchema = z.strictObject({
  kind: z.literal("etcd"),
  port: z._default(z.int().check(z.positive()), 2379),
  /** Present: the client port speaks TLS. */
  tls: z.optional(tlsFilesSchema),
  /** File with `user:password`, for a cluster with authentication. */
  credentialsFile: z.optional(z.string()),
  ...memberSettings({ stop: ["systemctl", "stop", "etcd"], start: ["systemctl", "start", "etcd"] }),
});
export type EtcdSettings = z.output<typeof etcdSettingsSchema>;

/** Numbers of 64 bits are text in the gateway's JSON; what is zero or false is left out. */
const statusSchema = z.object({
  header: z.object({ cluster_id: z.string(), member_id: z.string() }),
  leader: z._default(z.string(), "0"),
  raftIndex: z._default(z.string(), "0"),
  isLearner: z._default(z.boolean(), false),
  errors: z._default(z.array(z.string()), []),
});
type Status = z.infer<typeof statusSchema>;

const memberListSchema = z.object({
  members: z.array(
    z.object({ ID: z.string(), name: z._default(z.string(), ""), isLearner: z._default(z.boolean(), false) }),
  ),
});

const NOBODY = "0";

/**
 * etcd 3.4 and later through the JSON gateway of its client port.
 * https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/
 */
export function etcdCluster(surroundings: Surroundings, settings: EtcdSettings): ClusterAdapter {
  const http = jsonHttp(settings.timeoutMs, settings.tls);
  const tokens = new Map<string, string>();

  const post = async (node: ManifestNode, path: string, body: unknown, token?: string): Promise<unknown> => {
    const url = `${settings.tls ? "https" : "http"}://${node.ip}:${settings.port}/v3/${path}`;
    const headers = token === undefined ? {} : { authorization: token };
    const answer = await http({ method: "POST", url, body, headers });
    if (answer.status === 200) return answer.body;
    const { error, message } = answer.body as { error?: string; message?: string };
    throw new Error(`/v3/${path} answers ${answer.status}: ${error ?? message ?? "no reason"}`);
  };

  /** Tokens of a node end after minutes without use, and with the node: refused once, a new one is asked for. */
  const authorized = async (node: ManifestNode, path: string, body: unknown): Promise<unknown> => {
    const { credentialsFile } = settings;
    if (credentialsFile === undefined) return post(node, path, body);
    const known = tokens.get(node.id);
    if (known !== undefined) {
      try {
        return await post(node, path, body, known);
      } catch (error) {
        if (!(error instanceof Error) || !/invalid auth token/.test(error.message)) throw error;
      }
    }
    const [name, ...password] = readFileSync(credentialsFile, "utf8").trim().split(":");
    const answer = await post(node, "auth/authenticate", { name, password: password.join(":") });
    const { token } = z.object({ token: z.string() }).parse(answer);
    tokens.set(node.id, token);
    return post(node, path, body, token);
  };

  const status = async (node: ManifestNode): Promise<Status> =>
    statusSchema.parse(await authorized(node, "maintenance/status", {}));

  /** A read through the quorum, as `etcdctl endpoint health` does it: a refused permission was agreed on, too. */
  const readThroughQuorum = async (node: ManifestNode): Promise<void> => {
    try {
      await authorized(node, "kv/range", { key: Buffer.from("health").toString("base64"), count_only: true });
    } catch (error) {
      if (!(error instanceof Error) || !/permission denied|user name is empty/.test(error.message)) throw error;
    }
  };

  const wellness = async (node: ManifestNode): Promise<NodeHealth> => {
    const { leader, isLearner, errors } = await status(node);
    if (leader === NOBODY) return unhealthy("sees no leader");
    if (isLearner) return unhealthy("is a learner still");
    if (errors.length > 0) return unhealthy(errors.join("; "));
    await readThroughQuorum(node);
    return HEALTHY;
  };
  const health = (nodes: readonly ManifestNode[]) => healthOf(nodes, wellness);
  const statuses = (nodes: readonly ManifestNode[]) => answersOf(nodes, status);

  const probe = {
    health,
    canRoll: async (going: readonly ManifestNode[], all: readonly ManifestNode[]) => {
      const staying = all.filter((node) => !going.includes(node));
      const [known, wellnesses] = await Promise.all([statuses(all), health(staying)]);
      if (new Set([...known.values()].map(({ header }) => header.cluster_id)).size > 1) {
        return unhealthy("the nodes are not members of one cluster");
      }
      const witness = staying.find(({ id }) => wellnesses.get(id)?.ok) ?? all.find(({ id }) => known.has(id));
      if (!witness) return unhealthy("no node answers");
      const { members } = memberListSchema.parse(await authorized(witness, "cluster/member/list", {}));
      const nodeOf = new Map([...known].map(([id, { header }]) => [header.member_id, id]));
      const voters = members.filter(({ isLearner }) => !isLearner);
      /** A voter of no node that answers is down, or somebody else's: it counts against the quorum. */
      const names = voters.map(({ ID }) => nodeOf.get(ID) ?? `member ${ID}`);
      return quorumStays(going, names, (voter) => wellnesses.get(voter)?.ok === true);
    },
    leader: async (nodes: readonly ManifestNode[]) => {
      const known = await statuses(nodes);
      for (const [id, { header, leader }] of known) if (leader === header.member_id) return id;
      return undefined;
    },
  };

  /** To the follower that has the most of the log. */
  const transfer = async (leader: ManifestNode) => {
    const others = surroundings.nodes.filter(({ id }) => id !== leader.id);
    const [known, wellnesses] = await Promise.all([statuses(others), health(others)]);
    const [best] = [...known]
      .filter(([id]) => wellnesses.get(id)?.ok)
      .sort(([, a], [, b]) => Number(BigInt(b.raftIndex) - BigInt(a.raftIndex)));
    if (!best) throw new Error(`no other node is well enough to lead instead of node ${leader.id}`);
    await authorized(leader, "maintenance/transfer-leadership", { targetID: best[1].header.member_id });
  };

  return { probe, drain: handOver(surroundings, probe, settings, transfer) };
}
