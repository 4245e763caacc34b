import { connect } from "node:net";
import type { ManifestNode } from "../manifest";
import type { NodeChannel } from "../node-channel";
import { type ClusterProbe, HEALTHY, type NodeHealth, unhealthy } from "../probe";
import { runProgram } from "../run-program";
import { bounded } from "./bounded";

/** Asks one node whether it is well. */
export type NodeCheck = (node: ManifestNode) => Promise<NodeHealth>;

/** A port that accepts a connection. */
export function tcpCheck(port: number, timeoutMs: number): NodeCheck {
  return ({ ip }) =>
    bounded(timeoutMs, async (signal) => {
      const socket = connect({ host: ip, port, signal });
      try {
        await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
      } finally {
        socket.destroy();
      }
    });
}

/** A URL that answers 2xx; `{ip}` and `{node}` in it stand for the node's own. */
export function httpCheck(url: string, timeoutMs: number): NodeCheck {
  return (node) =>
    bounded(timeoutMs, async (signal) => {
      const address = filled(url, node);
      const response = await fetch(address, { signal, redirect: "manual" });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`${address} answers ${response.status}`);
    });
}

/** A program that ends with 0. It runs without a shell; the node is in its environment, not in its text. */
export function commandCheck(command: string, args: readonly string[], timeoutMs: number): NodeCheck {
  return (node) =>
    bounded(timeoutMs, async (signal) => {
      const env = { NODE_ID: node.id, NODE_IP: node.ip, NODE_GROUP: node.group };
      await runProgram(command, args, { env, signal }).catch(({ message }: Error) => {
        throw new Error(message.split("\n").at(-1));
      });
    });
}

/** A line of shell that ends with 0 on the node itself. */
export function onNodeCheck(channel: NodeChannel, line: string, timeoutMs: number): NodeCheck {
  return async ({ id }) => {
    try {
      await channel.run(id, ["/bin/sh", "-c", line], timeoutMs);
      return HEALTHY;
    } catch (error) {
      return unhealthy((error as Error).message);
    }
  };
}

/** A cluster that serves as long as a majority of its nodes passes every check; it has no leader this probe knows of. */
export function majorityProbe(checks: readonly NodeCheck[]): ClusterProbe {
  const ask = async (node: ManifestNode): Promise<NodeHealth> => {
    for (const check of checks) {
      const answer = await check(node);
      if (!answer.ok) return answer;
    }
    return HEALTHY;
  };
  const health = async (nodes: readonly ManifestNode[]) =>
    new Map(await Promise.all(nodes.map(async (node) => [node.id, await ask(node)] as const)));
  return {
    health,
    canRoll: async (going, all) => {
      const leaving = new Set(going.map(({ id }) => id));
      const answers = await health(all.filter(({ id }) => !leaving.has(id)));
      const staying = [...answers.values()].filter(({ ok }) => ok).length;
      return majorityStays(staying, all.length);
    },
    leader: async () => undefined,
  };
}

/** A cluster of fewer than three nodes has no majority to lose: it is down while its node is replaced, as its owner chose. */
export function majorityStays(staying: number, all: number): NodeHealth {
  const quorum = Math.floor(all / 2) + 1;
  return staying >= quorum || all < 3
    ? HEALTHY
    : unhealthy(`${staying} nodes would stay, a quorum of ${all} is ${quorum}`);
}

function filled(url: string, { ip, id }: ManifestNode): string {
  return url.replaceAll("{ip}", ip).replaceAll("{node}", encodeURIComponent(id));
}
