import type { Ec2Rules } from "./ec2/ec2-rules";
import type { Notice } from "./machines";
import type { Scheduler } from "./scheduler";

/** What EC2 has announced to its instances. */
export class NoticeBoard {
  readonly #notices = new Map<string, Notice>();

  constructor(
    private readonly scheduler: Scheduler,
    /** Of every region. */
    private readonly rules: () => readonly Pick<Ec2Rules, "state" | "terminate">[],
  ) {}

  of(instanceId: string): Notice {
    return this.#notices.get(instanceId) ?? {};
  }

  /** Adds to what was announced to an instance; one that is to be interrupted is, when it is time. @throws Error where none runs. */
  post(instanceId: string, notice: Notice): void {
    const region = this.rules().find((rules) => ["pending", "running"].includes(rules.state(instanceId) ?? ""));
    if (region === undefined) throw new Error(`${instanceId}: no such instance runs`);
    this.#notices.set(instanceId, { ...this.of(instanceId), ...notice });
    const { spotInterruptionAt } = notice;
    if (spotInterruptionAt === undefined) return;
    this.scheduler.after(spotInterruptionAt.getTime() - Date.now(), () => region.terminate(instanceId));
  }
}
