import type { Clock } from "../rolling-update/clock";
import { type Cloud, CloudError, type Group } from "../rolling-update/cloud";
import { isLaunch } from "../rolling-update/failures";
import { intercept } from "../rolling-update/intercept";

/** How AWS behaved where its documentation says nothing; times in milliseconds, one for each node that was replaced. */
export interface Observations {
  /** How long a group still showed an instance in service after its termination was answered. */
  readonly shownAfterTerminateMs: readonly number[];
  /** From the answer that resumed Launch until the group showed another instance. */
  readonly shownAfterResumeMs: readonly number[];
  /** The same until the group began to launch it, by AWS's clock: below 0 where that is behind this machine's. */
  readonly launchedAfterResumeMs: readonly number[];
  readonly calls: number;
  /** Calls that were throttled or failed in passing, beyond those that the SDK repeated by itself. */
  readonly transientErrors: Readonly<Record<string, number>>;
}

interface Resumption {
  readonly group: string;
  readonly atMs: number;
  shownMs?: number;
  launchedMs?: number;
}

/** Watches the calls of a roll and changes none. */
export class Observer {
  readonly #terminated = new Map<string, { readonly atMs: number; shownMs: number }>();
  readonly #resumptions: Resumption[] = [];
  readonly #known = new Set<string>();
  readonly #transient = new Map<string, number>();
  #calls = 0;

  constructor(private readonly clock: Clock) {}

  watch(cloud: Cloud): Cloud {
    return intercept(cloud, async (method, call, args) => {
      this.#calls++;
      try {
        const answer = await call();
        this.#note(method, args, answer);
        return answer;
      } catch (error) {
        if (error instanceof CloudError && error.kind === "transient") {
          const what = `${error.action}: ${error.code}`;
          this.#transient.set(what, (this.#transient.get(what) ?? 0) + 1);
        }
        throw error;
      }
    });
  }

  observations(): Observations {
    const afterResume = (at: (resumption: Resumption) => number | undefined) =>
      this.#resumptions.flatMap((resumption) => {
        const ms = at(resumption);
        return ms === undefined ? [] : ms - resumption.atMs;
      });
    return {
      shownAfterTerminateMs: [...this.#terminated.values()].map(({ atMs, shownMs }) => shownMs - atMs),
      shownAfterResumeMs: afterResume(({ shownMs }) => shownMs),
      launchedAfterResumeMs: afterResume(({ launchedMs }) => launchedMs),
      calls: this.#calls,
      transientErrors: Object.fromEntries(this.#transient),
    };
  }

  #note(method: keyof Cloud, args: readonly unknown[], answer: unknown): void {
    const nowMs = this.clock.now();
    const [subject] = args as [string];
    if (method === "terminate") this.#terminated.set(subject, { atMs: nowMs, shownMs: nowMs });
    if (method === "resumeLaunch") this.#resumptions.push({ group: subject, atMs: nowMs });
    if (method === "describeGroups") this.#seen(answer as Awaited<ReturnType<Cloud["describeGroups"]>>, nowMs);
    if (method === "describeActivities") {
      this.#told(subject, answer as Awaited<ReturnType<Cloud["describeActivities"]>>);
    }
  }

  #seen(groups: readonly Group[], nowMs: number): void {
    for (const { name, instances } of groups) {
      for (const { id, lifecycle } of instances) {
        const ended = this.#terminated.get(id);
        if (ended && lifecycle === "InService") ended.shownMs = nowMs;
        if (this.#known.has(id)) continue;
        this.#known.add(id);
        const resumption = this.#resumptions.findLast(({ group }) => group === name);
        if (resumption) resumption.shownMs ??= nowMs;
      }
    }
  }

  #told(group: string, activities: Awaited<ReturnType<Cloud["describeActivities"]>>): void {
    const resumption = this.#resumptions.findLast((each) => each.group === group);
    const [newest] = activities.filter(isLaunch);
    if (resumption && resumption.shownMs !== undefined && newest) resumption.launchedMs ??= newest.startedMs;
  }
}
