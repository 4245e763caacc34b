import { readFileSync } from "node:fs";
import * as z from "zod/mini";
import type { ManifestNode } from "../manifest";
import { HEALTHY, type NodeHealth, unhealthy } from "../probe";
import type { ClusterAdapter, Surroundings } from "./cluster-adapter";
import { handOver } from "./hand-over";
import { type JsonAnswer, jsonHttp } from "./json-http";
import { answersOf, healthOf } from "./quorum";
import { memberSettings } from "./settings";
import { tlsFilesSchema } from "./tls-files";

export const patroniSettingsSchema = z.strictObject({
  kind: z.literal("patroni"),
  port: z._default(z.int().check(z.positive()), 8008),
  tls: z.optional(tlsFilesSchema),
  /** File with `user:password` of the REST API, when it asks for them. */
  credentialsFile: z.optional(z.string()),
  /** A replica that lacks more than this of the leader's log is not well. */
  maxLagBytes: z._default(z.int().check(z.nonnegative()), 1_048_576),
  ...memberSettings({ stop: ["systemctl", "stop", "patroni"], start: ["systemctl", "start", "patroni"] }),
});
export type PatroniSettings = z.output<typeof patroniSettingsSchema>;

const memberSchema = z.object({
  name: z.string(),
  role: z.string(),
  host: z.optional(z.string()),
  api_url: z.optional(z.string()),
  timeline: z.optional(z.number()),
  lag: z.optional(z.union([z.number(), z.string()])),
  tags: z._default(z.record(z.string(), z.unknown()), {}),
});
type Member = z.infer<typeof memberSchema>;
const clusterSchema = z.object({ members: z.array(memberSchema), pause: z._default(z.boolean(), false) });
type ClusterView = z.infer<typeof clusterSchema>;
const localSchema = z.object({ state: z.string(), timeline: z.optional(z.number()) });

const LEADERS: readonly string[] = ["leader", "master", "primary", "standby_leader"];

/**
 * PostgreSQL under Patroni 2 and later, through its REST API.
 * https://patroni.readthedocs.io/en/latest/rest_api.html
 *
 * Who may lead is agreed on in a store outside the nodes, so no majority of them is needed; a cluster of three or more is
 * never left with a single copy of its data.
 */
export function patroniCluster(surroundings: Surroundings, settings: PatroniSettings): ClusterAdapter {
  const http = jsonHttp(settings.timeoutMs, settings.tls);
  const slowHttp = jsonHttp(settings.handOverTimeoutMs, settings.tls);
  const urlOf = ({ ip }: ManifestNode, path: string) =>
    `${settings.tls ? "https" : "http"}://${ip}:${settings.port}/${path}`;
  const get = (node: ManifestNode, path: string) => http({ method: "GET", url: urlOf(node, path) });

  const clusterSeenBy = async (node: ManifestNode): Promise<ClusterView> =>
    clusterSchema.parse((await get(node, "cluster")).body);

  /** What the store says of the node is as old as the member's last turn; its state is what the node itself says. */
  const wellness = async (node: ManifestNode): Promise<NodeHealth> => {
    const [answer, view] = await Promise.all([get(node, "patroni"), clusterSeenBy(node)]);
    const local = localSchema.parse(answer.body);
    if (local.state !== "running" && local.state !== "streaming") return unhealthy(`PostgreSQL is ${local.state}`);
    const leader = view.members.find(({ role }) => LEADERS.includes(role));
    if (!leader) return unhealthy("the cluster has no leader");
    const member = memberOf(node, view);
    if (!member) return unhealthy(`is no member of the cluster: none has the address ${node.ip}`);
    if (member.name === leader.name) return HEALTHY;
    if (local.timeline !== leader.timeline) {
      return unhealthy(`follows timeline ${local.timeline}, the leader is on ${leader.timeline}`);
    }
    const { lag } = member;
    return typeof lag === "number" && lag <= settings.maxLagBytes
      ? HEALTHY
      : unhealthy(`lags ${lag ?? "by an unknown number of"} bytes behind the leader`);
  };
  const health = (nodes: readonly ManifestNode[]) => healthOf(nodes, wellness);

  /** 200 from the one that holds the leader's key. */
  const leader = async (nodes: readonly ManifestNode[]): Promise<string | undefined> => {
    const answers = await answersOf(nodes, (node) => get(node, "leader"));
    const holders = [...answers].filter(([, { status }]) => status === 200);
    return holders.length === 1 ? holders[0]?.[0] : undefined;
  };

  /** Nodes that are well and may lead, the best first: a synchronous standby, then the one that lacks least. */
  const successors = async (staying: readonly ManifestNode[], wellnesses: ReadonlyMap<string, NodeHealth>) => {
    const well = staying.filter(({ id }) => wellnesses.get(id)?.ok);
    const views = await answersOf(well, clusterSeenBy);
    return well
      .flatMap((node) => {
        const view = views.get(node.id);
        const member = view && memberOf(node, view);
        return member && member.tags.nofailover !== true ? [{ node, member }] : [];
      })
      .sort((a, b) => rank(a.member) - rank(b.member));
  };

  const probe = {
    health,
    leader,
    canRoll: async (going: readonly ManifestNode[], all: readonly ManifestNode[]) => {
      if (all.length === 1) return HEALTHY;
      const staying = all.filter((node) => !going.includes(node));
      const [wellnesses, current, views] = await Promise.all([
        health(staying),
        leader(all),
        answersOf(staying, clusterSeenBy),
      ]);
      if ([...views.values()].some(({ pause }) => pause)) return unhealthy("Patroni is paused: it would not fail over");
      const copies = [...wellnesses.values()].filter(({ ok }) => ok).length;
      const needed = all.length < 3 ? 1 : 2;
      if (copies < needed) return unhealthy(`${copies} well copies would stay, ${needed} are needed`);
      const leads = going.some(({ id }) => id === current);
      if (leads && (await successors(staying, wellnesses)).length === 0) return unhealthy("nobody who stays may lead");
      return HEALTHY;
    },
  };

  const transfer = async (from: ManifestNode) => {
    const others = surroundings.nodes.filter(({ id }) => id !== from.id);
    const [best] = await successors(others, await health(others));
    const former = memberOf(from, await clusterSeenBy(from));
    if (!best || !former) throw new Error(`no other node is well enough to lead instead of node ${from.id}`);
    const answer = await slowHttp({
      method: "POST",
      url: urlOf(from, "switchover"),
      body: { leader: former.name, candidate: best.member.name },
      headers: authorization(settings.credentialsFile),
    });
    if (answer.status !== 200) throw new Error(`the switchover was refused: ${textOf(answer)}`);
  };

  return { probe, drain: handOver(surroundings, probe, settings, transfer) };
}

function memberOf({ ip }: ManifestNode, { members }: ClusterView): Member | undefined {
  return members.find(({ host, api_url }) => host === ip || (api_url !== undefined && hostOf(api_url) === ip));
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}

function rank({ role, lag }: Member): number {
  return role === "sync_standby" ? -1 : typeof lag === "number" ? lag : Number.MAX_SAFE_INTEGER;
}

function authorization(file: string | undefined): Record<string, string> {
  if (file === undefined) return {};
  return { authorization: `Basic ${Buffer.from(readFileSync(file, "utf8").trim()).toString("base64")}` };
}

function textOf({ status, body }: JsonAnswer): string {
  return typeof body === "string" && body !== "" ? body : `it answers ${status}`;
}
