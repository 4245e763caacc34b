import { randomUUID } from "node:crypto";
import * as coordinator from "../../../control-plane/lease/coordinator";
import { type Desired, type Job, newJob } from "../../../control-plane/lease/job";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { transaction } from "../../../control-plane/store/database";
import { Heartbeats } from "../../../control-plane/store/heartbeats";
import { releaseJobs, ungrantJob } from "../../../control-plane/store/holder";
import { applyToJob } from "../../../control-plane/store/jobs";
import { declareGone, deregisterSession, type Ref } from "../../../control-plane/store/sessions";
import { sweep } from "../../../control-plane/store/sweeper";
import { seededRandom } from "../../../scripts/seeded-random";
import { longForm } from "../../support/long-form";
import { type TestFleet, useFleets } from "../store/fleet";

/** Of at least so many steps each, in a database of their own. */
const SEEDS = Array.from({ length: longForm(1, 100) }, (_, index) => index + 1);
const STEPS = 400;
const WORKERS = ["w1", "w2", "w3"];
const JOBS = 4;
const MAX_RETRIES = 2;
/** Nothing runs out but what is made to. */
const EVER_MS = 86_400_000;
const TIMING = { ...DEFAULT_TIMING, serverLeaseMs: EVER_MS, grantMs: EVER_MS };
const NOW_MS = 0;
const LONG_AGO_MS = -1;

const fleets = useFleets();

/** The store and the coordinator, which are told the same and asked what has become of it. */
class Pair {
  readonly model = coordinator.newCoordinator(TIMING, Number.NEGATIVE_INFINITY);
  readonly sessions: { readonly id: string; readonly worker: string }[] = [];
  readonly jobs: string[] = [];
  readonly granted: { readonly session: string; readonly ref: Ref }[] = [];
  private readonly heartbeats: Heartbeats;

  constructor(private readonly fleet: TestFleet) {
    this.heartbeats = new Heartbeats(fleet.pool, TIMING.serverLeaseMs, 1);
  }

  async create(onDisconnect: Job["onDisconnect"]): Promise<void> {
    const priority = 100 + this.jobs.length;
    const id = await this.fleet.job(`job-${priority}`, { onDisconnect, priority, maxRetries: MAX_RETRIES });
    this.jobs.push(id);
    this.model.jobs.set(id, newJob({ onDisconnect, maxRetries: MAX_RETRIES }));
    coordinator.tell(this.model, id, { type: "run" });
  }

  async register(worker: string): Promise<string> {
    const id = await this.fleet.register(worker);
    this.sessions.push({ id, worker });
    const said = coordinator.register(this.model, id, worker);
    expect(said).toBe("registered");
    return said;
  }

  async beat(session: string, beat: { readonly running: Ref[]; readonly released: Ref[] }): Promise<string> {
    const { rows } = await this.fleet.pool.query("select state from sessions where id = $1", [session]);
    const state = rows[0]?.state === "registered" ? "registered" : "open";
    const running = beat.running.map((ref) => ({ ...ref, status: "running", phase: "streaming" }) as const);
    const renewal = await this.heartbeats.beat(this.fleet.beating(session), state, { ...beat, running });
    const orders = coordinator.heartbeat(this.model, NOW_MS, session, beat);
    expect(renewal === "refused").toBe(orders === "session_closed");
    if (renewal === "refused" || orders === "session_closed") return "closed";
    const isHeld = (ref: Ref) => renewal.held.find(({ jobId, fence }) => jobId === ref.jobId && fence === ref.fence);
    expect(beat.running.filter((ref) => !isHeld(ref))).toEqual(orders.kill);
    const unwanted = beat.running.filter((ref) => (isHeld(ref)?.desired ?? "run") !== "run");
    expect(unwanted).toEqual(orders.quiesce);
    return orders.kill.length > 0 ? "kill" : "renewed";
  }

  async claim(session: string, slots: number): Promise<string> {
    const claim = { ...this.fleet.registration(session), sessionId: session, claimId: randomUUID(), slots };
    const claimed = await this.fleet.writes.claim({ ...claim, grantMs: EVER_MS });
    if (claimed === "refused") throw new Error("the token is not valid");
    const granted = claimed.granted.map(({ jobId, fence }) => ({ jobId, fence }));
    const modelled = coordinator.claim(this.model, NOW_MS, session, slots);
    const isClosed = claimed.session?.state === "closed";
    expect(isClosed ? "session_closed" : granted).toEqual(modelled);
    for (const ref of granted) this.granted.push({ session, ref });
    return isClosed ? "closed" : granted.length > 0 ? "granted" : "nothing";
  }

  async started(session: string, ref: Ref): Promise<string> {
    const said = await this.fleet.start({ sessionId: session, ...ref });
    const { jobId, fence } = ref;
    const modelled = coordinator.started(this.model, NOW_MS, { session, fence }, jobId);
    expect(modelled === "started" ? "started" : "fenced").toBe(said);
    return said;
  }

  async report(session: string, ref: Ref, outcome: "completed" | "stopped" | "failed"): Promise<string> {
    const said = await this.fleet.report({ sessionId: session, ...ref, outcome, logTail: [] });
    const by = { session, fence: ref.fence };
    expect(coordinator.tell(this.model, ref.jobId, { type: "report", by, outcome })).toBe(this.refusal(said));
    // What a retry waits for is over.
    await this.fleet.pool.query("update jobs set not_before = now() where state = 'pending' and not_before > now()");
    return said;
  }

  async release(session: string, ref: Ref): Promise<string> {
    const fenced = await releaseJobs(this.fleet.pool, session, [ref]);
    const told = coordinator.tell(this.model, ref.jobId, { type: "release", by: { session, fence: ref.fence } });
    expect(fenced.length === 0).toBe(told === undefined);
    return told ?? "released";
  }

  async ungrant(session: string, ref: Ref): Promise<string> {
    await ungrantJob(this.fleet.pool, session, ref);
    return (
      coordinator.tell(this.model, ref.jobId, { type: "ungrant", by: { session, fence: ref.fence } }) ?? "taken back"
    );
  }

  async wish(jobId: string, type: Desired): Promise<string> {
    const said = await transaction(this.fleet.pool, (tx) => applyToJob(tx, jobId, { type }, "test"));
    const told = coordinator.tell(this.model, jobId, { type });
    expect(typeof said === "string" ? said : undefined).toBe(told);
    return told ?? type;
  }

  /** Deletes a job and makes another. */
  async replace(jobId: string, onDisconnect: Job["onDisconnect"]): Promise<string> {
    const said = await this.wish(jobId, "delete");
    await this.create(onDisconnect);
    return said;
  }

  async deregister(session: string): Promise<string> {
    await deregisterSession(this.fleet.pool, session);
    coordinator.deregister(this.model, session);
    return "done";
  }

  /** An operator says that a session's worker is gone. @param isGrace the control plane has only just come up */
  async declareGone(session: string, isGrace: boolean): Promise<string> {
    const { pool, deploymentId } = this.fleet;
    const timing = { ...TIMING, serverLeaseMs: isGrace ? EVER_MS : 1 };
    const freed = await declareGone(pool, timing, { deploymentId, sessionId: session }, "test");
    const known = this.model.sessions.get(session);
    const isOpen = known?.state === "open";
    const isAlive = isOpen && known.expiresAtMs > NOW_MS;
    const held = [...this.model.jobs.values()].filter((job) => job.session === session).length;
    expect(freed).toBe(!isOpen ? "not_found" : isAlive ? "alive" : isGrace ? "unjudged" : held);
    if (typeof freed === "string") return freed;
    coordinator.deregister(this.model, session);
    return "freed";
  }

  async expireLease(session: string): Promise<string> {
    await this.fleet.expireLease(session);
    const held = this.model.sessions.get(session);
    if (held?.state === "open") this.model.sessions.set(session, { ...held, expiresAtMs: LONG_AGO_MS });
    return "done";
  }

  async expireGrant(jobId: string): Promise<string> {
    await this.fleet.pool.query(
      "update jobs set grant_expires_at = now() - interval '1 second' where id = $1 and state = 'starting'",
      [jobId],
    );
    if (this.model.grants.has(jobId)) this.model.grants.set(jobId, LONG_AGO_MS);
    return "done";
  }

  /** @param isGrace the control plane has only just come up */
  async sweep(isGrace: boolean): Promise<string> {
    // A copy that is up says so all the while.
    await this.fleet.pool.query("update pulse set seen_at = now()");
    const moved = await sweep(this.fleet.pool, { ...TIMING, serverLeaseMs: isGrace ? EVER_MS : 1 });
    this.model.upSinceMs = isGrace ? NOW_MS : Number.NEGATIVE_INFINITY;
    expect(coordinator.sweep(this.model, NOW_MS)).toHaveLength(moved);
    return moved > 0 ? "moved" : "nothing";
  }

  async expectAlike(): Promise<void> {
    const { pool } = this.fleet;
    const [jobs, sessions] = await Promise.all([
      pool.query(
        `select id, state, desired, fence, session_id as session, failures, on_disconnect as "onDisconnect",
           max_retries as "maxRetries", reported_session, reported_fence from jobs order by priority`,
      ),
      pool.query('select id, worker_id as "workerId", state from sessions order by epoch'),
    ]);
    const stored = jobs.rows.map(({ reported_session: session, reported_fence: fence, ...job }) => {
      return { ...job, reported: session === null ? null : { session, fence } };
    });
    expect(stored).toEqual([...this.model.jobs].map(([id, job]) => ({ id, ...job })));
    const modelled = [...this.model.sessions.values()];
    expect(sessions.rows).toEqual(modelled.map(({ id, workerId, state }) => ({ id, workerId, state })));
  }

  private refusal(said: string): string | undefined {
    if (said === "refused") throw new Error("the token is not valid");
    return said === "fenced" ? "fenced" : undefined;
  }
}

/** A random step of a pair, and what came of it. */
async function step(pair: Pair, random: () => number): Promise<string> {
  const chance = (probability: number) => random() < probability;
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const recent = pair.sessions.slice(-4);
  const { id, worker } = pick(recent);
  // Most of what is said is true; the rest is of another session, or of another claim.
  const known = pick(pair.granted.slice(-3)) ?? { session: id, ref: { jobId: pick(pair.jobs), fence: 1 } };
  const session = chance(0.1) ? id : known.session;
  const ref = chance(0.1) ? { ...known.ref, fence: known.ref.fence + pick([-1, 1]) } : known.ref;
  const own = new Set(pair.sessions.filter((one) => one.worker === worker).map((one) => one.id));
  // Also what an earlier session of the worker was given may run still, and a stranger's job now and then.
  const some = (): Ref[] =>
    pair.granted.slice(-8).flatMap((one) => (chance(own.has(one.session) ? 0.6 : 0.05) ? [one.ref] : []));
  const acts: readonly (readonly [weight: number, name: string, act: () => Promise<string>])[] = [
    [4, "register", () => pair.register(pick(WORKERS))],
    [22, "beat", () => pair.beat(id, { running: some(), released: chance(0.2) ? some() : [] })],
    [18, "claim", () => pair.claim(id, pick([1, 2]))],
    [20, "started", () => pair.started(session, ref)],
    [9, "report", () => pair.report(session, ref, pick(["completed", "stopped", "failed", "failed"] as const))],
    [5, "release", () => pair.release(session, ref)],
    [3, "ungrant", () => pair.ungrant(session, ref)],
    [10, "wish", () => pair.wish(pick(pair.jobs), pick(["run", "run", "run", "run", "pause", "stop"] as const))],
    [0.5, "replace", () => pair.replace(pick(pair.jobs), pick(["keep", "stop"] as const))],
    [0.7, "deregister", () => pair.deregister(id)],
    [2, "declareGone", () => pair.declareGone(id, chance(0.2))],
    [4, "expireLease", () => pair.expireLease(id)],
    [3, "expireGrant", () => pair.expireGrant(known.ref.jobId)],
    [6, "sweep", () => pair.sweep(chance(0.2))],
  ];
  let left = random() * acts.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, name, act] of acts) {
    left -= weight;
    if (left < 0) return `${name}: ${await act()}`;
  }
  throw new Error("nothing was picked");
}

/** What has to have happened for a comparison to be worth anything. */
const TELLING = [
  "beat: closed",
  "beat: kill",
  "beat: renewed",
  "claim: granted",
  "claim: nothing",
  "declareGone: alive",
  "declareGone: freed",
  "started: fenced",
  "started: started",
  "report: fenced",
  "report: reported",
  "release: fenced",
  "release: released",
  "sweep: moved",
  "ungrant: conflict",
  "ungrant: taken back",
  "wish: conflict",
  "wish: run",
];

it.each(SEEDS)(
  `the store does in ${STEPS} random steps and more what the coordinator does, which the simulators run, seed %d`,
  async (seed) => {
    const pair = new Pair(await fleets.freshFleet());
    const random = seededRandom(seed);
    for (let index = 0; index < JOBS; index++) await pair.create(index === 0 ? "keep" : "stop");
    for (const worker of WORKERS) await pair.register(worker);
    const told = new Set<string>();

    for (let steps = 1; steps <= STEPS || TELLING.some((one) => !told.has(one)); steps++) {
      try {
        told.add(await step(pair, random));
        await pair.expectAlike();
      } catch (error) {
        throw new Error(`they part at step ${steps}`, { cause: error });
      }
    }
  },
  120_000,
);
