import { keepLooking, lookUntil } from "./look";
import type { NodeState } from "./story/happening";
import type { Story } from "./story/story";

/** A group as it is described at a moment. */
export interface WatchedGroup {
  readonly name: string;
  readonly wanted: number;
  readonly members: readonly { readonly id: string; readonly lifecycle: string; readonly healthy: boolean }[];
  /** Node of a cluster, whose group holds one; undefined for a pool, whose instances are numbered. */
  readonly node: string | undefined;
  /** What its nodes are called after, where it is a pool. */
  readonly pool: string;
}

/** A node at a moment. */
export interface WatchedNode {
  readonly name: string;
  readonly group: string;
  readonly isOfCluster: boolean;
  readonly state: NodeState;
  readonly instance: string | undefined;
}

/** Says of nodes in service why their application is not well; those that are well are missing. */
export type Unwell = (nodes: readonly WatchedNode[]) => Promise<ReadonlyMap<string, string>>;

export interface WatchOptions {
  readonly story: Story;
  /** @throws where AWS does not answer: then nothing has changed */
  readonly read: () => Promise<readonly WatchedGroup[]>;
  /** @default - nodes in service are well */
  readonly unwell?: Unwell;
  /** Told of every node's new instance. */
  readonly onInstance?: (node: string, instance: string) => void;
  readonly signal: AbortSignal;
  readonly pollMs: number;
}

/** Looks at the groups of a deployment all the while, and tells what changes. */
export class Watch {
  readonly #nodes = new Map<string, WatchedNode>();
  /** Of each pool: which instance has which number. */
  readonly #places = new Map<string, (string | undefined)[]>();
  readonly #service = new Map<string, { readonly wanted: number; readonly serving: number }>();
  #looking: Promise<void> = Promise.resolve();
  readonly #overrides = new Map<string, NodeState>();
  unwell: Unwell;

  constructor(private readonly options: WatchOptions) {
    this.unwell = options.unwell ?? (async () => new Map());
  }

  get nodes(): readonly WatchedNode[] {
    return [...this.#nodes.values()].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  }

  node(name: string): WatchedNode | undefined {
    return this.#nodes.get(name);
  }

  /** Every group has what it wants, in service and well. */
  get allWell(): boolean {
    return this.#service.size > 0 && [...this.#service.values()].every(({ wanted, serving }) => serving >= wanted);
  }

  get wanted(): number {
    return [...this.#service.values()].reduce((sum, { wanted }) => sum + wanted, 0);
  }

  get serving(): number {
    return [...this.#service.values()].reduce((sum, { serving }) => sum + serving, 0);
  }

  /** Has a node be what its group cannot see, such as booting while it reboots. @returns what takes that back */
  override(node: string, state: NodeState): () => void {
    this.#overrides.set(node, state);
    return () => this.#overrides.delete(node);
  }

  /** Looks until the signal comes. */
  run(): Promise<void> {
    return keepLooking(() => this.look(), this.options);
  }

  /** @returns whether it was so within the time */
  until(holds: () => boolean, withinMs: number): Promise<boolean> {
    const look = () => this.look().then(holds);
    return lookUntil(look, (held) => held, { ...this.options, withinMs });
  }

  /** One look at every group, begun after this call: what was done before it is seen. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look());
    return this.#looking;
  }

  async #look(): Promise<void> {
    const groups = await this.options.read().catch(() => undefined);
    if (groups === undefined) return;
    const seen = groups.flatMap((group) => this.#nodesOf(group));
    const unwell = await this.unwell(seen.filter(({ state }) => state === "in service"));
    const judged = seen.map((node) => {
      const state = this.#overrides.get(node.name) ?? (unwell.has(node.name) ? "unwell" : node.state);
      return { ...node, state };
    });
    // Who is back comes first: two that change places between two looks were never out together.
    const isServing = ({ state }: WatchedNode) => state === "in service";
    const inOrder = [...judged.filter(isServing), ...judged.filter((node) => !isServing(node))];
    for (const node of inOrder) this.#note(node, unwell.get(node.name) ?? "");
    for (const { name } of this.nodes) if (!judged.some((node) => node.name === name)) this.#forget(name);
    const services = groups.map(({ name, wanted }) => ({
      name,
      wanted,
      serving: judged.filter((node) => node.group === name && isServing(node)).length,
    }));
    services.sort((a, b) => a.wanted - a.serving - (b.wanted - b.serving));
    for (const { name, wanted, serving } of services) this.#noteService(name, wanted, serving);
  }

  #note(node: WatchedNode, reason: string): void {
    const before = this.#nodes.get(node.name);
    this.#nodes.set(node.name, node);
    if (before?.state === node.state && before.instance === node.instance) return;
    const { name, state, instance } = node;
    if (instance !== undefined && instance !== before?.instance) this.options.onInstance?.(name, instance);
    const text = `${name} is ${state}${reason === "" ? "" : `: ${reason}`}`;
    this.options.story.tell({ kind: "node", node: name, state, text, ...(instance === undefined ? {} : { instance }) });
  }

  #forget(name: string): void {
    this.#nodes.delete(name);
    this.options.story.tell({ kind: "gone", node: name, text: `${name} is not wanted any more` });
  }

  #noteService(group: string, wanted: number, serving: number): void {
    const before = this.#service.get(group);
    if (before?.wanted === wanted && before.serving === serving) return;
    this.#service.set(group, { wanted, serving });
    this.options.story.tell({
      kind: "service",
      group,
      wanted,
      serving,
      text: `${group}: ${serving} of ${wanted} serve`,
    });
  }

  #nodesOf(group: WatchedGroup): WatchedNode[] {
    const { name, node, members } = group;
    if (node !== undefined) {
      const member = members.find(({ lifecycle }) => !isLeaving(lifecycle)) ?? members[0];
      return [{ name: node, group: name, isOfCluster: true, state: stateOf(member), instance: member?.id }];
    }
    let lacking = group.wanted - members.filter(({ lifecycle }) => !isLeaving(lifecycle)).length;
    return this.#placesOf(group).flatMap((id, index) => {
      if (id === undefined && lacking-- <= 0) return [];
      const member = members.find((candidate) => candidate.id === id);
      return {
        name: `${group.pool}/${index + 1}`,
        group: name,
        isOfCluster: false,
        state: stateOf(member),
        instance: id,
      };
    });
  }

  /** An instance keeps its number; one that goes leaves it to the next, as long as the pool wants as many. */
  #placesOf({ name, wanted, members }: WatchedGroup): readonly (string | undefined)[] {
    const ids = new Set(members.map(({ id }) => id));
    const places = (this.#places.get(name) ?? []).map((id) => (id !== undefined && ids.has(id) ? id : undefined));
    for (const { id } of members) {
      if (places.includes(id)) continue;
      const free = places.indexOf(undefined);
      if (free < 0) places.push(id);
      else places[free] = id;
    }
    while (places.length < wanted) places.push(undefined);
    while (places.length > wanted && places.at(-1) === undefined) places.pop();
    this.#places.set(name, places);
    return places;
  }
}

function stateOf(member: WatchedGroup["members"][number] | undefined): NodeState {
  if (member === undefined) return "down";
  if (isLeaving(member.lifecycle)) return "leaving";
  if (member.lifecycle !== "InService") return "booting";
  return member.healthy ? "in service" : "down";
}

const isLeaving = (lifecycle: string) => lifecycle.startsWith("Terminat");
