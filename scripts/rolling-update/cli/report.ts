import pc from "picocolors";
import type { Template } from "../cloud";
import type { Journal, RollRecord } from "../journal";
import type { LastRoller } from "../lock";
import type { Plan } from "../plan";
import type { RollError } from "../roll-error";
import type { Outcome } from "../roll-ports";
import { formatDuration } from "./duration";

export function planText({ cluster, nodes, refusals }: Plan): string {
  const changes = nodes.filter(({ order }) => order !== null).sort((a, b) => (a.order ?? 0) - (b.order ?? 0));
  const lines = [`cluster ${cluster}: ${changes.length} of ${nodes.length} nodes to replace`];
  for (const { order, node, instance, current, target, reason, risks } of changes) {
    const from = current ? `${current.id}:${current.version}` : "nothing";
    lines.push(
      `  ${order}. node ${node} (${instance ?? "no instance"}): ${from} -> ${target.id}:${target.version}, ${reason}`,
    );
    for (const risk of risks) lines.push(pc.yellow(`     ${risk}`));
  }
  for (const { node, rule, message } of refusals) lines.push(pc.red(`  refused: node ${node}: ${message} [${rule}]`));
  if (changes.length > 0 && refusals.length === 0) lines.push("nothing was changed; `holdfast roll run --yes` does it");
  return lines.join("\n");
}

export function rollbackText(
  cluster: string,
  nodes: readonly { readonly node: string; readonly from: Template; readonly to: Template }[],
): string {
  if (nodes.length === 0) return `cluster ${cluster}: the last roll touched no node`;
  const lines = nodes.map(
    ({ node, from, to }) => `  node ${node}: ${from.id}:${from.version} -> ${to.id}:${to.version}`,
  );
  const head = `cluster ${cluster}: ${nodes.length} nodes to roll back`;
  return [head, ...lines, "nothing was changed; `holdfast roll rollback --yes` does it"].join("\n");
}

export function statusText({ roll, replacements }: Journal, last: LastRoller | undefined, nowMs: number): string {
  if (!roll) return "no roll of this cluster is recorded";
  const isRolling = last?.isDead === false;
  const lines = [
    `roll ${roll.id} (${roll.direction}): ${!isRolling && roll.state === "running" ? "died" : roll.state}`,
    isRolling ? `rolling: ${last.owner}` : "nobody is rolling this cluster",
  ];
  if (last?.isDead) lines.push(lastHeard(last));
  for (const { node, state, sinceMs, oldInstance, newInstance, failure, held } of replacements.values()) {
    const instances = [oldInstance, newInstance].filter(Boolean).join(" -> ");
    lines.push(`  node ${node}: ${state} for ${formatDuration(nowMs - sinceMs)}${instances && ` (${instances})`}`);
    if (failure) lines.push(`    ${failure.code}: ${failure.reason ?? failure.message}`);
    if (held)
      lines.push(`    its group is kept from launching${isRolling ? "" : ": `holdfast roll resume` ends that"}`);
  }
  if (roll.failure) lines.push(...failureLines(roll.failure, replacements));
  return lines.join("\n");
}

/** Of a roller that died. */
export function lastHeard({ owner, silentMs }: LastRoller): string {
  return `${owner} rolled this cluster, and was heard of last ${formatDuration(silentMs)} ago`;
}

/** Why the roll ended, unless a node says so itself, and what comes next. */
function failureLines(
  { code, message, node = "", reason, next }: NonNullable<RollRecord["failure"]>,
  replacements: Journal["replacements"],
): string[] {
  const isTold = replacements.get(node)?.failure?.code === code;
  return [...(isTold ? [] : [`  ${code}: ${reason ?? message}`]), ...(next === undefined ? [] : [`  next: ${next}`])];
}

export function outcomeText({ status, replaced, error }: Outcome): string {
  const nodes = replaced.length === 0 ? "no node was replaced" : `replaced: ${replaced.join(", ")}`;
  return [`${status}; ${nodes}`, ...(error ? [errorText(error)] : [])].join("\n");
}

export function errorText({ code, message, node, instanceId, reason, next }: RollError): string {
  const where = [node && `node ${node}`, instanceId].filter(Boolean).join(", ");
  return [
    `${pc.red(code)}: ${message}${where && ` (${where})`}`,
    ...(reason === undefined ? [] : [`  why: ${reason.replaceAll("\n", "\n       ")}`]),
    ...(next === undefined ? [] : [`  next: ${next}`]),
  ].join("\n");
}

/** The same as data, for `--json`. */
export function errorData({ code, message, node, instanceId, reason, next }: RollError): Record<string, unknown> {
  return { code, message, node, instanceId, reason, next };
}
