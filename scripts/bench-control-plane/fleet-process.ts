import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { NODE_FOR_MANY_CLAIMS } from "../chaos/control-plane-program";

/** What the process is to do. */
export interface Orders {
  /** Of the copy itself. */
  readonly url: string;
  /** URLs by which workers reach it, in turn. */
  readonly roads: readonly string[];
  /** In PEM: who vouches for what answers an https URL. */
  readonly authority?: string;
  readonly tokens: readonly string[];
  /** How many begin to wait a second. */
  readonly perSecond: number;
  /** How many claims have to be parked at once for all to count as parked. */
  readonly parked: number;
}

/** When a claim was answered stands by the clock of `monotonicMs`. */
export type Word = "parked" | { readonly told: string; readonly at: number };

/** Workers that wait for work at one copy in a process of their own, whose own pauses to collect garbage are short. */
export class FleetProcess {
  private readonly child: ChildProcess;
  private readonly ended: Promise<unknown>;

  private constructor() {
    this.child = fork(resolve(__dirname, "parked-workers.ts"), { execArgv: NODE_FOR_MANY_CLAIMS });
    this.child.setMaxListeners(0);
    this.ended = once(this.child, "exit");
  }

  /** Resolves when all have come and are parked. @throws Error when the process ends before */
  static async parked(orders: Orders): Promise<FleetProcess> {
    const fleet = new FleetProcess();
    try {
      fleet.child.send(orders);
      await fleet.word((word) => word === "parked");
      return fleet;
    } catch (error) {
      await fleet.stop();
      throw error;
    }
  }

  /** When the claim was answered that got the job of this name, by the clock of `monotonicMs`. @throws Error when the process has ended */
  async told(name: string): Promise<number> {
    this.child.send(name);
    const word = await this.word((word) => typeof word === "object" && word.told === name);
    return typeof word === "object" ? word.at : Number.NaN;
  }

  async stop(): Promise<void> {
    if (this.child.connected) this.child.disconnect();
    await this.ended;
  }

  private async word(isWanted: (word: Word) => boolean): Promise<Word> {
    return await new Promise((resolve, reject) => {
      const heard = (word: Word): void => {
        if (!isWanted(word)) return;
        this.child.off("message", heard);
        resolve(word);
      };
      this.child.on("message", heard);
      void this.ended.then(() => reject(new Error(`the fleet's process ended with ${this.child.exitCode}`)));
    });
  }
}

/** A clock that all processes of a machine share, in ms. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;
