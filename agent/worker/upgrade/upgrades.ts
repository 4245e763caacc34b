import type { KeyObject } from "node:crypto";
import type { Request } from "../../../control-plane/protocol";
import { replaceSymlink } from "../../host/files";
import { type Log, reason } from "../../host/log";
import { startOf } from "../daemon/process-identity";
import type { HandedLease } from "../lease-keeper";
import { type FetchRelease, installBeside, type LinkedProgram } from "./install";
import { linkedFile } from "./linked-program";
import type { WantedUpgrade } from "./release-signature";
import { type Trial, trialFiles } from "./trial";
import { isWatched } from "./trial-watch";

export type UpgradeReport = NonNullable<Request<"heartbeat">["upgrade"]>;

export interface UpgradeProps {
  /** Verifies releases; without one each upgrade is refused. */
  readonly key: KeyObject | undefined;
  /** Holds what is known of a trial from one life of the agent to the next. */
  readonly directory: string;
  /** How long a new version is on trial. */
  readonly gateMs: number;
  /** The programs that can be upgraded here. */
  readonly programs: Readonly<Partial<Record<WantedUpgrade["program"], LinkedProgram>>>;
  readonly fetchRelease: FetchRelease;
  /**
   * Has the trial watched by a process of a version that is not on trial, and that outlives this agent.
   *
   * @param agent the agent's program in the version that is to watch.
   */
  readonly watch: (agent: string) => void;
}

export interface UpgradePorts {
  readonly log: Log;
  /** Told when there is something to report. */
  readonly changed: () => void;
  /** Whether the agent may end now and be started again; asked before the link is turned, and after. */
  readonly mayRestart: () => boolean;
  /** Ends the agent and leaves its daemons, for the next life. */
  readonly restart: () => void;
  /** Jobs that failed on daemons which this agent has started, or could not start. */
  readonly failures: () => number;
}

const DETAIL_LENGTH = 1_000;
const DRAINS = "the worker drains";
const UNWRITTEN = "it was turned back, and the reason could not be written down";

/** Settled upgrades that are remembered: an answer that asks for one is as late as a claim may be parked, and they go one after another. */
const SETTLED_KEPT = 16;

/**
 * Upgrades of the agent and of the daemon, one at a time: the release is installed beside the version that runs, the link turned,
 * and the agent ended, whose next life is on trial. A process of this version watches that trial (`watchTrial`).
 */
export class Upgrades {
  private readonly files;
  private report: UpgradeReport | undefined;
  private onTrial: Trial | undefined;
  /** Why it is not known whether a version is on trial, or that one is not gone on with; undefined when neither is so. */
  private unknown: string | undefined;
  private busy = false;
  /** Upgrades whose end was heard, the last of them: an answer that was on its way may still ask for one. */
  private settled: readonly string[] = [];
  /** Puts the version that runs back in place, while the new one waits for the agent to be started again. */
  private turnBack: (() => Promise<void>) | undefined;
  /** Of this process, once the system has told it. */
  private start: string | undefined;

  constructor(
    private readonly props: UpgradeProps,
    private readonly ports: UpgradePorts,
  ) {
    this.files = trialFiles(props.directory);
  }

  /** Goes on with the trial that an earlier life has begun; where its files do not let it, that is tried again with each answered heartbeat. */
  async resume(): Promise<void> {
    try {
      await this.goOn();
      this.unknown = undefined;
    } catch (error) {
      this.unknown = reason(error);
      this.ports.log.error("a trial, if there is one, is not gone on with", { reason: this.unknown });
    }
  }

  private async goOn(): Promise<void> {
    const { files } = this;
    const trial = files.trial.read();
    if (!trial) return;
    const isTurnedBack = trial.state === "trying" && linkedFile(trial.link) !== trial.to;
    const wasInPlace = trial.begun || files.sign.read() !== undefined;
    // The agent ended before it turned the link: nothing was tried, and whoever asked for it asks again.
    if (isTurnedBack && !wasInPlace) return await files.trial.remove();
    this.onTrial = isTurnedBack ? { ...trial, state: "rolled_back", detail: UNWRITTEN } : trial;
    if (isTurnedBack) await files.trial.write(this.onTrial);
    if (this.onTrial.state !== "trying") return;
    await this.sign();
    if (!isWatched(files)) this.watch(trial.program, trial.from);
  }

  /** What the next heartbeat says; undefined when there is nothing to say. */
  said(): UpgradeReport | undefined {
    const { files } = this;
    if (this.onTrial?.state === "trying") this.onTrial = files.trial.readOr(undefined) ?? this.onTrial;
    const { onTrial } = this;
    if (!onTrial) return this.report;
    const { campaignId, state, detail } = onTrial;
    return { campaignId, state: state === "trying" ? "installing" : state, ...(detail ? { detail } : {}) };
  }

  /** A heartbeat was answered, which gave a lease: what it said is known, unless the same upgrade is still asked for. */
  async heard(said: UpgradeReport | undefined, asked: readonly WantedUpgrade[], lease: HandedLease): Promise<void> {
    if (this.unknown !== undefined) await this.resume();
    if (this.onTrial?.state === "trying") await this.sign(lease);
    if (!said || said.state === "installing" || asked.some(({ campaignId }) => campaignId === said.campaignId)) return;
    this.settled = [...this.settled.filter((id) => id !== said.campaignId), said.campaignId].slice(-SETTLED_KEPT);
    if (said.campaignId === this.onTrial?.campaignId) {
      this.onTrial = undefined;
      await Promise.all([this.files.trial.remove(), this.files.sign.remove()]);
    }
    if (said.campaignId === this.report?.campaignId) this.report = undefined;
  }

  /** Carries an upgrade out, once however often it is asked for, also by an answer that comes after its end was heard. */
  obey(wanted: WantedUpgrade): void {
    const { campaignId } = wanted;
    if (this.busy || this.onTrial || this.report?.campaignId === campaignId || this.settled.includes(campaignId))
      return;
    this.busy = true;
    void this.carryOut(wanted).finally(() => {
      this.busy = false;
      this.ports.changed();
    });
  }

  /** The agent, which was about to be started again, is to end for good: what runs here is in place then. */
  async abandon(): Promise<void> {
    const { turnBack } = this;
    this.turnBack = undefined;
    await turnBack?.().catch((error) => this.ports.log.error("not turned back", { reason: reason(error) }));
  }

  private async carryOut(wanted: WantedUpgrade): Promise<void> {
    const { log, mayRestart, restart, changed } = this.ports;
    const { key, programs, fetchRelease, gateMs } = this.props;
    const { campaignId, program, version } = wanted;
    log.info("upgrade", { campaignId, program, version });
    this.report = { campaignId, state: "installing" };
    changed();
    try {
      if (this.unknown !== undefined) throw new Error(`whether a version is on trial is not known: ${this.unknown}`);
      if (!key) throw new Error("the worker holds no release key, so nothing that it could verify a release with");
      const linked = programs[program];
      if (!linked)
        throw new Error(`the ${program} of this worker is not started through a link: it cannot be upgraded`);
      const to = await installBeside(wanted, linked, key, fetchRelease);
      if (!mayRestart()) throw new Error(DRAINS);
      const { link } = linked;
      const from = linkedFile(link);
      await this.files.sign.remove();
      // Written before: a link that has turned is never without a trial.
      await this.files.trial.write({
        campaignId,
        program,
        version,
        link,
        from,
        to,
        gateMs,
        state: "trying",
        detail: "",
      });
      await replaceSymlink(to, link);
      const turnBack = async () => {
        await replaceSymlink(from, link);
        await this.files.trial.remove();
      };
      try {
        // It was told to go since: it gives its jobs back, and whoever starts it anew starts what ran here.
        if (!mayRestart()) throw new Error(DRAINS);
        this.watch(program, from);
      } catch (error) {
        await turnBack();
        throw error;
      }
      this.turnBack = async () => {
        await turnBack();
        this.report = { campaignId, state: "failed", detail: DRAINS };
      };
      log.info("new version in place: the agent starts again", { program, version });
      restart();
    } catch (error) {
      const detail = reason(error).slice(0, DETAIL_LENGTH);
      log.error("upgrade failed", { campaignId, program, version, reason: detail });
      this.report = { campaignId, state: "failed", detail };
    }
  }

  private async sign(lease?: HandedLease): Promise<void> {
    const { pid } = process;
    this.start ??= startOf(pid);
    await this.files.sign.write({ pid, start: this.start, ...(lease && { lease }), failures: this.ports.failures() });
  }

  private watch(program: WantedUpgrade["program"], from: string): void {
    this.props.watch(program === "agent" ? from : (process.argv[1] ?? ""));
  }
}
