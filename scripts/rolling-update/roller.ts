import { Actions } from "./actions";
import { jittered } from "./clock";
import { readControl } from "./control";
import { explained, leaving } from "./explained";
import { factsOf, type TurnFacts } from "./facts";
import { Gate } from "./gate";
import { countStreaks, examine, type Health, validation } from "./health";
import { closed, type RollRecord, writeReplacement, writeRoll } from "./journal";
import type { Lock } from "./lock";
import type { Manifest, ManifestNode } from "./manifest";
import { open } from "./opening";
import { inOrder } from "./order";
import { type Survey, staleNodes } from "./plan";
import { foreignSuspension } from "./preflight";
import { isOver, nextStep, type Replacement } from "./replacement";
import { Reporter } from "./reporter";
import { asRollError, RollError } from "./roll-error";
import type { Outcome, RollOptions, RollPorts } from "./roll-ports";
import { booting, LAUNCHES_BY_ITSELF, launchesByItself } from "./self-launch";
import type { Settings } from "./settings";
import { successorsAmong } from "./succession";
import { byKey, member, observe, outage, type World } from "./world";

/** One run of a roll: turns of see, decide, act, until an outcome. */
export class Roller {
  #replacements = new Map<string, Replacement>();
  readonly #actions: Actions;
  readonly #gate: Gate;
  readonly #nodes: ReadonlyMap<string, ManifestNode>;
  #record: RollRecord | undefined;
  #survey: Survey | undefined;
  #health: Health = { troubles: new Map(), streaks: new Map() };
  readonly #startedMs: number;
  #remaining = 0;
  /** The first node of this run that failed; the roll ends when those replaced together with it are over. */
  #failed: Replacement | undefined;
  /** The first node after which the roll goes no further though no node failed. */
  #halted: Replacement | undefined;
  readonly #reporter: Reporter;

  constructor(
    private readonly ports: RollPorts,
    private readonly lock: Lock,
    private readonly manifest: Manifest,
    private readonly settings: Settings,
    private readonly options: RollOptions,
    private readonly direction: RollRecord["direction"],
  ) {
    this.#actions = new Actions(ports.cloud, ports.clock, ports.drain, settings);
    this.#gate = new Gate(ports.probe, ports.clock, manifest.nodes, settings);
    this.#reporter = new Reporter(ports.clock, manifest.cluster, ports.report);
    this.#startedMs = ports.clock.now();
    this.#nodes = byKey(manifest.nodes, ({ id }) => id);
  }

  async run(): Promise<Outcome> {
    let outcome: Outcome | undefined;
    try {
      await this.#begin();
      while (outcome === undefined) {
        outcome = await this.#turn();
        if (outcome === undefined) await this.ports.clock.sleep(jittered(this.ports.clock, this.#gate.pauseMs()));
      }
    } catch (error) {
      outcome = this.#outcome("failed", asRollError(error));
    }
    return this.#end(outcome);
  }

  async #begin(): Promise<void> {
    const { ports, manifest, settings, options, direction } = this;
    const opening = await open(ports, manifest, settings, options, direction, this.#actions);
    this.#survey = opening.survey;
    this.#record = opening.record;
    this.#replacements = opening.replacements;
    this.#reporter.rollId = opening.record.id;
    this.#reporter.say("started", { elapsedMs: 0 });
  }

  /** One turn: see, decide, act. An outcome ends the roll. */
  async #turn(): Promise<Outcome | undefined> {
    const { cloud, store, clock, probe } = this.ports;
    const inFlight = this.#inFlight();
    const world = await observe(
      cloud,
      this.manifest,
      inFlight.map(({ node }) => this.#node(node)),
      this.#replacements,
    );
    const troubles = await examine(world, this.manifest, probe, this.#replacements);
    this.#health = countStreaks(this.manifest, this.#health.streaks, troubles);
    await this.lock.keep();

    if (inFlight.some(({ oldInstance }) => this.#runsOn(oldInstance))) return this.#handOver(world);
    if (inFlight.length > 0) {
      await this.#advance(inFlight, world);
      if (this.#inFlight().length > 0) return this.options.stop?.level === "now" ? this.#outcome("paused") : undefined;
      const cause = this.#failed ?? this.#halted;
      if (cause) return this.#outcome("failed", await explained(cloud, cause));
    }
    const control = await readControl(store);
    if (control === "abort") return this.#outcome("aborted");
    if (control === "pause" || (this.options.stop && this.options.stop.level !== "go on"))
      return this.#outcome("paused");
    if (this.#awaitsConfirmation()) {
      this.#reporter.say("notice", {
        elapsedMs: 0,
        reason: "the first node is replaced; `holdfast roll resume` goes on",
      });
      return this.#outcome("paused");
    }
    return this.#chooseNext(world, clock.now());
  }

  async #advance(inFlight: readonly Replacement[], world: World): Promise<void> {
    const { cloud, clock } = this.ports;
    const batch = inFlight.map(({ node }) => this.#node(node));
    const obstacle = inFlight.some(({ state }) => state === "draining" || state === "holding")
      ? await this.#obstacle(batch, world)
      : undefined;
    const isWatching = inFlight.some(({ state }) => state === "validating" || state === "baking");
    const firingAlarms =
      isWatching && this.settings.alarms.length > 0 ? await cloud.firingAlarms(this.settings.alarms) : [];
    const isCanary = this.#replaced().length === 0;
    const { unvalidated, othersUnwell } = validation(this.#health, this.settings.successes, batch);
    const turn: Omit<TurnFacts, "drain"> = {
      nowMs: clock.now(),
      obstacle,
      unvalidated,
      othersUnwell,
      firingAlarms,
      bakeMs: isCanary ? Math.max(this.settings.canaryBakeMs, this.settings.bakeMs) : this.settings.bakeMs,
    };
    for (const replacement of inFlight) await this.#step(replacement, world, turn);
  }

  async #step(replacement: Replacement, world: World, turn: Omit<TurnFacts, "drain">): Promise<void> {
    const view = world.get(replacement.node);
    if (!view) return;
    const hooks = this.#survey?.hooks.get(replacement.node) ?? [];
    const facts = factsOf(replacement, view, hooks, { ...turn, drain: this.#actions.drainOf(replacement.node) });
    const { before, actions, after, halt } = nextStep(replacement, facts, this.settings);
    if (before !== replacement) await this.#write(before);
    for (const action of actions) {
      await this.#actions.perform(action, view.node, before);
      const elapsedMs = turn.nowMs - replacement.sinceMs;
      this.#reporter.say("action", { elapsedMs, node: replacement.node, phase: before.state, reason: action.do });
    }
    if (after !== before) await this.#write(after);
    if (after.state === "failed") this.#failed ??= after;
    if (halt) this.#halted ??= { ...after, failure: halt };
    if (after.state === replacement.state) this.#reporter.stillAt(after, facts.blocker ?? facts.obstacle);
    else this.#reporter.entered(after, turn.nowMs - replacement.sinceMs, this.#etaMs());
  }

  /** The next node, or batch, once the gate before it is open. */
  async #chooseNext(world: World, nowMs: number): Promise<Outcome | undefined> {
    const candidates = await this.#candidates(world);
    this.#remaining = candidates.length;
    if (candidates.length === 0) return this.#finish(world, nowMs);
    if (nowMs - this.#startedMs > this.settings.totalTimeoutMs) {
      return this.#outcome(
        "failed",
        new RollError("GATE_CLOSED", "the time limit of the whole roll has passed", { next: "holdfast roll resume" }),
      );
    }
    const impaired = await this.ports.cloud.impairedZones();
    const open = candidates.filter(({ zone }) => !impaired.includes(zone));
    const first = open[0];
    if (!first) {
      return this.#outcome(
        "failed",
        new RollError(
          "ZONE_IMPAIRED",
          `the nodes that remain are in an impaired zone (${impaired.join(", ")}); interface and volumes tie them to it`,
          {
            node: candidates[0]?.id ?? "",
            next: "`holdfast roll resume` once the zone has recovered",
          },
        ),
      );
    }
    const arriving = await this.#arriving(open, world, nowMs);
    if (arriving) return this.#waitAtGate(arriving, `node ${arriving.id}: ${LAUNCHES_BY_ITSELF}`);
    // Never beside the first of the roll: that one is the canary.
    const isAlone = this.settings.parallelWithinZone === 1 || this.#replaced().length === 0;
    const isOwn = ({ id }: ManifestNode) => this.#runsOn(instanceOf(world, id));
    if (isOwn(first)) return this.#handOver(world);
    const batch = isAlone
      ? [first]
      : await this.#gate.widen(
          first,
          open.filter((node) => !isOwn(node)),
        );
    const obstacle = await this.#obstacle(batch, world);
    if (obstacle !== undefined) return this.#waitAtGate(first, obstacle);
    this.#gate.opened();
    for (const node of batch) await this.#start(node, world, nowMs);
    return undefined;
  }

  /** Why these nodes may not go now, undefined when they may. */
  async #obstacle(batch: readonly ManifestNode[], world: World): Promise<string | undefined> {
    for (const { id } of batch) {
      const view = world.get(id);
      const suspension = view && foreignSuspension(view.group, this.#replacements.get(id)?.held);
      if (suspension !== undefined) return `node ${id}: ${suspension}`;
    }
    return this.#gate.obstacle(batch, this.#health);
  }

  /** Nothing remains to be replaced: done, once no node boots still that nobody replaced. */
  async #finish(world: World, nowMs: number): Promise<Outcome | undefined> {
    const view = booting(world, this.#record?.only);
    const instance = view && member(view);
    if (!view || !instance) return this.#outcome("done");
    const { id: node } = view.node;
    const reason = outage(view) ?? "";
    const { launchTimeoutMs } = this.settings;
    if (nowMs - this.#startedMs < launchTimeoutMs) {
      this.#reporter.waiting(node, "launching", this.#startedMs, reason, instance.id);
      return undefined;
    }
    const failure = {
      code: "LAUNCH_TIMEOUT",
      message: `the node is not in service after ${launchTimeoutMs / 60_000} min`,
      reason,
      next: "read what the node printed; correct the release and apply it: the next roll starts with this node",
    } as const;
    return this.#outcome("failed", await explained(this.ports.cloud, { node, newInstance: instance.id, failure }));
  }

  #waitAtGate(node: ManifestNode, obstacle: string): Outcome | undefined {
    const closed = this.#gate.closed(node, obstacle);
    if (closed instanceof RollError) return this.#outcome("failed", closed);
    this.#reporter.waiting(node.id, "gate", closed, obstacle);
    return undefined;
  }

  /** A node that comes without the roll's doing, unless the roll was told to take it. */
  async #arriving(nodes: readonly ManifestNode[], world: World, nowMs: number): Promise<ManifestNode | undefined> {
    for (const node of nodes) {
      const view = world.get(node.id);
      if (!view || this.#record?.forced.includes(node.id)) continue;
      if (await launchesByItself(this.ports.cloud, view, nowMs)) return node;
    }
    return undefined;
  }

  /** The node this roller runs on cannot be replaced from there: its turn is another roller's, elsewhere, from the journal. */
  async #handOver(world: World): Promise<Outcome> {
    const waiting = await this.#candidates(world);
    const able = this.manifest.nodes.filter(
      ({ id }) => !this.#health.troubles.has(id) && !this.#runsOn(instanceOf(world, id)),
    );
    this.#reporter.say("notice", { elapsedMs: 0, reason: "the next node is the one this roller runs on" });
    return { ...this.#outcome("handed over"), successors: successorsAmong(able, waiting) };
  }

  #runsOn(instanceId: string | undefined): boolean {
    return instanceId !== undefined && instanceId === this.options.runsOn;
  }

  async #candidates(world: World): Promise<ManifestNode[]> {
    const record = this.#record;
    const forced = new Set(record?.forced);
    const reasons = staleNodes(world, this.#survey?.targets ?? new Map(), forced);
    const only = record?.only;
    const stale = this.manifest.nodes.filter(
      ({ id }) => reasons.has(id) && !this.#isReplaced(id) && (only === undefined || only.includes(id)),
    );
    if (stale.length === 0) return [];
    const isDown = ({ id }: ManifestNode) => this.#health.troubles.has(id);
    return inOrder(stale, isDown, await this.ports.probe.leader(this.manifest.nodes));
  }

  async #start(node: ManifestNode, world: World, nowMs: number): Promise<void> {
    const view = world.get(node.id);
    const target = this.#survey?.targets.get(node.id);
    if (!view || !target || !this.#record) return;
    const old = member(view);
    const earlier = this.#replacements.get(node.id);
    const running = old?.template && { id: old.template.id, version: Number(old.template.version) };
    const from = earlier?.from ?? running;
    const isServing = outage(view) === undefined;
    const replacement: Replacement = {
      rollId: this.#record.id,
      node: node.id,
      state: this.ports.drain && isServing ? "draining" : "holding",
      sinceMs: nowMs,
      startedMs: nowMs,
      ...(old ? { oldInstance: old.id } : {}),
      ...(from ? { from } : {}),
      to: { id: target.id, version: target.version },
      strategy: this.settings.strategy,
      held: false,
      drained: false,
      durations: {},
    };
    this.#reporter.entered(replacement, 0);
    await this.#write(replacement);
    await this.#step(replacement, world, {
      nowMs,
      obstacle: undefined,
      unvalidated: undefined,
      othersUnwell: false,
      firingAlarms: [],
      bakeMs: 0,
    });
  }

  async #write(replacement: Replacement): Promise<void> {
    await writeReplacement(this.ports.store, replacement);
    this.#replacements.set(replacement.node, replacement);
  }

  /** However it ended: launches are let go, the journal says how, the record of the roll is closed. */
  async #end(outcome: Outcome): Promise<Outcome> {
    if (outcome.error?.code === "LOCK_LOST") return outcome;
    let { error } = outcome;
    const stuck: string[] = [];
    for (const replacement of this.#replacements.values()) {
      if (!replacement.held) continue;
      try {
        await this.#actions.release(this.#node(replacement.node), replacement);
        await this.#write({ ...replacement, held: false });
      } catch (cause) {
        stuck.push(this.#node(replacement.node).group);
        error ??= asRollError(cause);
      }
    }
    if (error && stuck.length > 0) error = leaving(error, stuck);
    const result = error === undefined ? outcome : { ...outcome, status: "failed" as const, error };
    if (this.#record) {
      await writeRoll(this.ports.store, closed(this.#record, result)).catch(() => {});
      const durations = Object.fromEntries([...this.#replacements].map(([node, r]) => [node, r.durations]));
      this.#reporter.say("finished", {
        elapsedMs: this.ports.clock.now() - this.#record.startedMs,
        reason: result.error ? `${result.error.code}: ${result.error.message}` : result.status,
        durations,
      });
    }
    return result;
  }

  /** What remains, at the pace of the nodes that were replaced; undefined before the first. */
  #etaMs(): number | undefined {
    const paces = [...this.#replacements.values()]
      .filter(({ node }) => this.#isReplaced(node))
      .map(({ sinceMs, startedMs }) => sinceMs - startedMs);
    if (paces.length === 0) return undefined;
    const mean = paces.reduce((sum, pace) => sum + pace, 0) / paces.length;
    return Math.round(mean * this.#remaining);
  }

  #awaitsConfirmation(): boolean {
    return this.settings.confirmAfterFirst && this.#record?.confirmedCanary === false && this.#replaced().length > 0;
  }

  #inFlight(): Replacement[] {
    return [...this.#replacements.values()].filter((replacement) => !isOver(replacement));
  }

  #isReplaced(node: string): boolean {
    const replacement = this.#replacements.get(node);
    return replacement?.state === "done" && replacement.rollId === this.#record?.id;
  }

  #replaced(): string[] {
    return this.manifest.nodes.map(({ id }) => id).filter((id) => this.#isReplaced(id));
  }

  #node(id: string): ManifestNode {
    const node = this.#nodes.get(id);
    if (!node)
      throw new RollError("MANIFEST_INVALID", `the journal knows node ${id}, the manifest does not`, { node: id });
    return node;
  }

  #outcome(status: Outcome["status"], error?: RollError): Outcome {
    return { status, replaced: this.#replaced(), ...(error ? { error } : {}) };
  }
}

function instanceOf(world: World, nodeId: string): string | undefined {
  const view = world.get(nodeId);
  return view && member(view)?.id;
}
