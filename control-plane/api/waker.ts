import { setTimeout as pause } from "node:timers/promises";
import type { Pool } from "pg";
import { keyOf, mayTake, type Placement } from "../lease/placement";
import type { ReadyJobs } from "../store/ready-jobs";
import type { Leaving } from "./delivery";
import { NOTIFY_EVERY_MS, Notifications } from "./notifications";
import { type Asking, type Ending, Parking, type Ready } from "./parking";

/** For jobs whose time has come. */
const LOOK_EVERY_MS = 1_000;
const LOOKS_BETWEEN_NOTIFICATIONS = 3;
/** Of ten thousand sessions each is woken within two seconds. */
const WOKEN_AT_ONCE = 50;
const WAKE_EVERY_MS = 10;
/** What another copy needs to take up a claim that was parked here, with a new connection for it. */
const MOVE_MS = 3;

/** What is known of jobs that are ready. */
interface Known extends Ready {
  /** How many there were when they were read, and those told of since. */
  jobs: number;
  /** The number of the news that told of them last. */
  news: number;
}

/**
 * Wakes parked claims: for a job that becomes ready here, for what a notification from another copy or the look finds that is taken once
 * a second for jobs whose time has come. A parked claim itself asks the database nothing, nor does one that comes while nothing is
 * known to be ready that its worker could take, or claims are awake for all of it: in a large fleet hundreds come each second.
 */
export class Waker {
  private readonly parking = new Parking();
  private readonly notifications: Notifications;
  /** By placement; undefined while nobody knows. */
  private ready: Map<string, Known> | undefined;
  private news = 0;
  /** Jobs were ready for which claims seemed to be awake. */
  private leftToAwake = false;
  private lookTimer: NodeJS.Timeout | undefined;
  private lookLater: NodeJS.Timeout | undefined;
  private looksDue = 0;
  private looking = false;
  /** Something became ready while a look was under way, which may have come too early to see it. */
  private lookAgain = false;
  /** Also for what may have been ready for long. */
  private lookAtAll = true;
  /** What waited is to be answered as it is. */
  stopped = false;
  /** Claims are asked to come again within so long. */
  private againWithinMs = 1;

  constructor(
    database: Pool,
    listenUrl: string,
    private readonly readyJobs: ReadyJobs,
  ) {
    const jobsMayBeReady = () => {
      // The sender tells of what becomes ready meanwhile only with its next notification.
      this.looksDue = LOOKS_BETWEEN_NOTIFICATIONS;
      this.lookSoon();
      void this.look();
    };
    this.notifications = new Notifications(database, listenUrl, {
      heard: (sessions) => {
        for (const sessionId of sessions) this.parking.wakeSession(sessionId);
        jobsMayBeReady();
      },
      missed: () => {
        void this.wakeAll();
        jobsMayBeReady();
      },
    });
  }

  get size(): number {
    return this.parking.size;
  }

  start(): void {
    this.notifications.start();
    this.lookTimer = setInterval(() => {
      for (const ready of this.ready?.values() ?? []) ready.awake = 0;
      this.parking.forgetMissed();
      this.lookAtAll = true;
      void this.look();
    }, LOOK_EVERY_MS);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.againWithinMs = Math.max(1, MOVE_MS * this.parking.size);
    clearInterval(this.lookTimer);
    clearTimeout(this.lookLater);
    this.parking.close();
    await this.notifications.stop();
  }

  /** Tells the other copies what they were not told yet; for when there is nothing more to tell. */
  async tellRest(): Promise<void> {
    await this.notifications.tellRest();
  }

  /** Whether there may be work: a claim that is told there is none may park and will be woken. */
  mayHaveWork(worker: Placement): boolean {
    return !this.ready || this.leftFor(worker) !== undefined;
  }

  /** After how long, in ms, a claim that is answered now may ask anew: at once, but where this copy stops, not all of them together. */
  askAgainMs(): number {
    return 1 + Math.floor(Math.random() * this.againWithinMs);
  }

  /** Waits until woken, until the time is up, or until the asker has gone. */
  park(asking: Asking, waitMs: number, gone: Leaving): Promise<Ending> {
    return this.parking.park(asking, waitMs, gone);
  }

  /**
   * A claim asks the database for jobs.
   *
   * @param woken why, if it was parked
   * @returns to be told whether there may be more that its worker could take
   */
  asks(worker: Placement, woken: Ending | undefined): (isMore: boolean) => void {
    const asOf = this.news;
    const left = woken?.why === "jobs" ? undefined : this.leftFor(worker);
    if (left) left.awake += 1;
    const ready = woken?.why === "jobs" ? woken.ready : left;
    return (isMore) => {
      if (ready) ready.awake = Math.max(0, ready.awake - 1);
      if (isMore) this.lookSoon();
      else this.forget(worker, asOf);
      if (this.leftToAwake) void this.look();
    };
  }

  /** A job is about to become ready: wakes a claim that may share the transaction of its creation. */
  jobComing(placement: Placement): void {
    this.parking.wakeFor({ placement, awake: 0 }, 1);
  }

  /** A job has become ready: wakes a claim for it, and soon those of other copies. */
  jobReady(placement: Placement): void {
    this.news += 1;
    this.lookAgain = this.looking;
    const known = this.ready && this.tellOf(placement, this.ready);
    if (known) {
      known.jobs += 1;
      this.parking.wakeFor(known, known.awake + 1);
    }
    this.notifications.tell();
  }

  /** Jobs may have become ready, who knows which: wakes claims here, and soon those of other copies. */
  jobsReady(): void {
    void this.look();
    this.notifications.tell();
  }

  /** Something is to be told to a session: its parked claim is answered at once, wherever it is parked. */
  sessionTouched(sessionId: string): void {
    this.parking.wakeSession(sessionId);
    this.notifications.tell(sessionId);
  }

  /** There may be news for any session: each parked claim asks the database, few of them at a time. */
  private async wakeAll(): Promise<void> {
    const sessions = this.parking.sessions();
    while (sessions.length > 0 && !this.stopped) {
      for (const sessionId of sessions.splice(0, WOKEN_AT_ONCE)) this.parking.wakeSession(sessionId);
      await pause(WAKE_EVERY_MS, undefined, { ref: false });
    }
  }

  private tellOf(placement: Placement, ready: Map<string, Known>): Known {
    const key = keyOf(placement);
    const known = this.ready?.get(key) ?? { placement, awake: 0, jobs: 0, news: 0 };
    known.news = this.news;
    ready.set(key, known);
    return known;
  }

  /** What is ready that a worker could take and for which no claim is awake. */
  private leftFor(worker: Placement): Known | undefined {
    const known = [...(this.ready?.values() ?? [])];
    return known.find(({ placement, awake, jobs }) => awake < jobs && mayTake(worker, placement));
  }

  /** A claim that asked after this news found nothing more that its worker could take. */
  private forget(worker: Placement, asOf: number): void {
    for (const [key, { placement, news }] of this.ready ?? []) {
      if (news <= asOf && mayTake(worker, placement)) this.ready?.delete(key);
    }
  }

  private lookSoon(): void {
    this.lookLater ??= setTimeout(
      () => {
        this.lookLater = undefined;
        this.looksDue = Math.max(0, this.looksDue - 1);
        if (this.looksDue > 0) this.lookSoon();
        if (this.parking.size > 0) void this.look();
      },
      NOTIFY_EVERY_MS / (LOOKS_BETWEEN_NOTIFICATIONS + 1),
    );
  }

  /** Reads what is ready and wakes as many claims as there are jobs that none was woken for yet. */
  private async look(): Promise<void> {
    if (this.looking) {
      this.lookAgain = true;
      return;
    }
    this.looking = true;
    const all = this.lookAtAll;
    this.lookAtAll = false;
    try {
      const rows = all ? await this.readyJobs.readAll() : await this.readyJobs.read();
      this.news += 1;
      const ready = new Map<string, Known>();
      const found = rows.map(({ jobs, ...placement }) => Object.assign(this.tellOf(placement, ready), { jobs }));
      this.ready = ready;
      this.leftToAwake = found.some(({ awake }) => awake > 0);
      for (const known of found) this.parking.wakeFor(known, known.jobs);
    } catch {
      // Nobody knows then: claims ask for themselves until the next look, a second later.
      this.ready = undefined;
    } finally {
      this.looking = false;
    }
    if (this.lookAgain) {
      this.lookAgain = false;
      await this.look();
    }
  }
}
