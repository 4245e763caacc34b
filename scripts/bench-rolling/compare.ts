import { MemoryStore } from "../rolling-update/simulator/memory-store";
import { Monitor } from "../rolling-update/simulator/monitor";
import { type Connection, SimulatedAws } from "../rolling-update/simulator/simulated-aws";
import type { Process } from "../rolling-update/simulator/virtual-clock";
import type { Scenario } from "./scenarios";
import type { OutsideUpdater, Updater } from "./updaters";

const HOUR_MS = 3_600_000;
/** How long a look and the call after it take: a death inside is not the updater's fault. */
const KNOWABLE_MS = 1_000;
/** No command of a shell loop takes longer; one that does was asked by a process that is dead. */
const LONGEST_COMMAND_MS = 60_000;

/** How an updater did in a scenario. */
export interface Verdict {
  /** Of its last run; -1 when that did not end. */
  readonly exitCode: number;
  /** What it did wrong; nothing: it passed. */
  readonly faults: readonly string[];
}

/** What an updater did wrong in a scenario; nothing: it passed. */
export async function faultsOf(updater: Updater | OutsideUpdater, scenario: Scenario): Promise<readonly string[]> {
  return (await judge(updater, scenario)).faults;
}

export async function judge(updater: Updater | OutsideUpdater, scenario: Scenario): Promise<Verdict> {
  const aws = await SimulatedAws.running({ ec2: { shutdownMs: () => 60_000 }, ...scenario.world });
  const leaderHits: number[] = [];
  await scenario.arrange(aws);
  const monitor = new Monitor(aws, KNOWABLE_MS);
  const note = aws.onRemoval;
  aws.onRemoval = (instanceId) => {
    if (aws.nodeOf(instanceId) === aws.guests.leader) leaderHits.push(monitor.terminated.length);
    note(instanceId);
  };
  const store = new MemoryStore();
  const connection = scenario.connection?.(aws) ?? {};
  const benchOf = (process: Process, more: Connection) => ({
    cloud: aws.connect(process, { ...connection, ...more }),
    inside: aws.connect(process, more),
    clock: process,
    manifest: aws.deployment(),
    store: store.connect(process),
    probe: aws.guests.probe(process, () => 0),
  });
  /** Lets the updater run; -1 when it does not end. */
  const drive = async (process: Process, more: Connection = {}, limitMs = 48 * HOUR_MS): Promise<number> => {
    const bench = benchOf(process, more);
    if ("outside" in updater) return updater.outside(bench, (promise) => aws.clock.run(promise, LONGEST_COMMAND_MS));
    const code = await aws.clock.run(updater(bench), limitMs);
    return code === "still running" ? -1 : code;
  };
  const startedMs = aws.clock.now();
  let saidMs = 0;
  const run = async (): Promise<number> => {
    const code = await drive(aws.clock.process());
    saidMs ||= aws.clock.now() - startedMs;
    return code;
  };

  let code: number;
  if (scenario.killed) {
    const victim = aws.clock.process();
    await drive(victim, { around: dyingAfterTerminate(victim) }, LONGEST_COMMAND_MS);
    victim.kill();
    await aws.pass(2 * 60_000);
    code = await run();
  } else if (scenario.second) {
    if ("outside" in updater) throw new Error(`two processes at once cannot share virtual time: ${scenario.name}`);
    const other = aws.clock.process();
    const late = other.sleep(30_000).then(() => updater(benchOf(other, {})));
    code = await run();
    await aws.clock.run(late, 48 * HOUR_MS);
  } else code = await run();
  const firstCode = code;
  if (code !== 0 && scenario.againAfterMs !== undefined) {
    await aws.pass(scenario.againAfterMs);
    code = await run();
  }
  await aws.pass(5 * 60_000);

  const faults: string[] = [];
  const behind = behindTarget(aws);
  const worst = monitor.violations.length;
  if (worst > 0) faults.push(`terminated a node while another was down (${worst} times)`);
  if (code === 0 && behind.length > 0) faults.push(`claimed success with ${behind.length} nodes not replaced`);
  else if (scenario.expect === "rolled" && behind.length > 0) faults.push(`left ${behind.length} nodes not replaced`);
  if (scenario.expect === "rolled" && code !== 0 && behind.length === 0)
    faults.push("claimed failure of a roll that was done");
  if (scenario.expect === "stopped" && code === 0 && behind.length === 0) faults.push("did not stop");
  if (scenario.expect === "stopped" && new Set(monitor.terminatedNodes).size > 1)
    faults.push("went on after a failed node");
  const touched = (scenario.untouched ?? []).filter((id) => monitor.terminatedNodes.includes(id));
  if (touched.length > 0) faults.push(`terminated node ${touched.join(", ")}, which could not come back`);
  if (firstCode !== 0 && scenario.saysWithinMs !== undefined && saidMs > scenario.saysWithinMs) {
    faults.push(`took ${Math.round(saidMs / 60_000)} min to say so`);
  }
  if (monitor.launchesIntoUsedInterface > 0)
    faults.push(`${monitor.launchesIntoUsedInterface} launches into a used interface`);
  if (scenario.leaderLast && leaderHits.some((at) => at < aws.manifest.nodes.length - 1))
    faults.push("hit the leader before the end");
  const strandedNow = strandedGroups(aws).filter((item) => !scenario.foreign?.includes(item));
  if (strandedNow.length > 0) faults.push(`left ${strandedNow.join(", ")}`);
  for (const kept of scenario.foreign ?? []) {
    if (!strandedGroups(aws).includes(kept)) faults.push("resumed what somebody else had suspended");
  }
  return { exitCode: code, faults };
}

function dyingAfterTerminate(victim: Process): NonNullable<Connection["around"]> {
  return async (method, call) => {
    const answer = await call();
    if (method === "terminate") victim.kill();
    return answer;
  };
}

/** Nodes that do not serve from an instance of their group's target. */
export function behindTarget(aws: SimulatedAws): string[] {
  return aws.manifest.nodes
    .filter(({ id, group }) => {
      const { template, instances } = aws.group(group);
      const target = aws.ec2.template(template?.id ?? "", template?.version);
      const [only, ...others] = instances;
      const isCurrent = only?.template?.id === target.id && only.template.version === String(target.version);
      return !(isCurrent && others.length === 0 && aws.guests.serving(id));
    })
    .map(({ id }) => id);
}

/** What is not as before a roll: sizes other than one, processes suspended. */
export function strandedGroups(aws: SimulatedAws): string[] {
  return aws.manifest.nodes.flatMap(({ group }) => {
    const { min, max, desired, suspended } = aws.group(group);
    const sizes = min === 1 && max === 1 && desired === 1 ? [] : [`${group} at ${min}/${desired}/${max}`];
    return [...sizes, ...suspended.map((name) => `${group}: ${name} suspended`)];
  });
}
