import type { Scheduler } from "../scheduler";
import { Timeline } from "../timeline";
import type { ScalingActivity } from "./group";

const FINAL = ["Successful", "Failed", "Cancelled"];

/** The scaling activities of one group, newest first. */
export class ActivityLog {
  readonly #timeline: Timeline<{ readonly list: readonly ScalingActivity[] }>;

  /** @param nextId gives the id of each activity. */
  constructor(
    private readonly scheduler: Scheduler,
    private readonly nextId: () => string,
  ) {
    this.#timeline = new Timeline<{ readonly list: readonly ScalingActivity[] }>(scheduler, { list: [] });
  }

  get current(): { readonly list: readonly ScalingActivity[] } {
    return this.#timeline.current;
  }

  seen(staleMs: number): { readonly list: readonly ScalingActivity[] } | undefined {
    return this.#timeline.seen(staleMs);
  }

  /** Begins an activity and gives its id. */
  add(status: string, description: string, cause: string): string {
    const id = this.nextId();
    const activity = { id, status, startedMs: this.scheduler.now(), description, cause, message: "" };
    this.#timeline.set({ list: [activity, ...this.current.list] });
    return id;
  }

  /** What has become of an activity; one that has ended stays as it ended. */
  set(id: string, status: string, change: { readonly message?: string; readonly description?: string } = {}): void {
    const ended = FINAL.includes(status) ? { endedMs: this.scheduler.now() } : {};
    this.#timeline.set({
      list: this.current.list.map((activity) =>
        activity.id === id && activity.endedMs === undefined ? { ...activity, ...change, status, ...ended } : activity,
      ),
    });
  }
}
