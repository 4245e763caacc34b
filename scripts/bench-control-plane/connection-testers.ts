import { setTimeout as pause } from "node:timers/promises";
import type { Action } from "../../control-plane/protocol/messages";
import { type Address, Connections } from "./connections";

/** Told what the answer to the worker with this token orders. */
export type Obey = (token: string, actions: readonly Action[]) => void;

/** What workers do about connection tests, of targets that all take the same time. */
export class ConnectionTesters {
  private readonly connections: Connections;
  private readonly underWay = new Set<string>();

  constructor(
    copy: Address,
    private readonly targetMs: number,
  ) {
    this.connections = new Connections(copy);
  }

  /** Carries each test out once, however often it is asked for, as agents do. */
  readonly obey: Obey = (token, actions) => {
    for (const action of actions) {
      if (action.kind !== "test_connection" || this.underWay.has(action.testId)) continue;
      const { testId } = action;
      this.underWay.add(testId);
      // One that was not heard is asked for again.
      void this.carryOut(token, testId).catch(() => this.underWay.delete(testId));
    }
  };

  close(): void {
    this.connections.close();
  }

  private async carryOut(token: string, testId: string): Promise<void> {
    await pause(this.targetMs);
    const step = { step: "tcp", result: "ok", ms: this.targetMs, detail: "" };
    await this.connections.post("connection-test", token, { testId, ok: true, steps: [step] });
  }
}
