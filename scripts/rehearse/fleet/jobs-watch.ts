import { keepLooking, lookUntil } from "../look";
import type { Story } from "../story/story";
import type { Watch } from "../watch";
import { allReplicate } from "./moves";
import type { Replication, ReplicationJob } from "./replication";

const POLL_MS = 300;

export interface JobsWatchOptions {
  readonly replication: Pick<Replication, "jobs">;
  /** Knows the workers. */
  readonly watch: Pick<Watch, "nodes">;
  readonly story: Story;
  readonly signal: AbortSignal;
}

/** Looks at the jobs of a fleet all the while, and tells which worker runs which. */
export class JobsWatch {
  jobs: readonly ReplicationJob[] = [];
  readonly #told = new Map<string, string>();

  constructor(private readonly options: JobsWatchOptions) {}

  /** Every job replicates, on a worker in service. */
  get allReplicate(): boolean {
    const serving = this.options.watch.nodes.filter(({ state }) => state === "in service");
    return allReplicate(this.jobs, new Set(serving.flatMap(({ instance }) => instance ?? [])));
  }

  /** Names of the jobs that each worker runs, for those that run any. */
  get places(): readonly (readonly [node: string, jobs: readonly string[]])[] {
    return this.options.watch.nodes.flatMap(({ name, instance }) => {
      const own = this.jobs.filter(({ workerId }) => workerId !== null && workerId === instance);
      return own.length === 0 ? [] : [[name, own.map((job) => job.name).sort()] as const];
    });
  }

  /** Looks until the signal comes. */
  run(): Promise<void> {
    return keepLooking(() => this.look(), { ...this.options, pollMs: POLL_MS });
  }

  /** @returns whether it was so within the time */
  until(holds: () => boolean, withinMs: number): Promise<boolean> {
    const look = () => this.look().then(holds);
    return lookUntil(look, (held) => held, { ...this.options, pollMs: POLL_MS, withinMs });
  }

  async look(): Promise<void> {
    const { replication, watch, story } = this.options;
    this.jobs = await replication.jobs().catch(() => this.jobs);
    const places = new Map(this.places);
    for (const { name: node } of watch.nodes) {
      const jobs = places.get(node) ?? [];
      const said = jobs.join(" ");
      if ((this.#told.get(node) ?? "") === said) continue;
      this.#told.set(node, said);
      story.tell({ kind: "jobs", node, jobs: [...jobs], text: `${node} runs ${said || "no job"}` });
    }
  }
}
