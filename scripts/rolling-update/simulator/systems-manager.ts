import type { Scheduler } from "../../emulator/scheduler";
import type { SystemsManager, SystemsManagerActions } from "../aws/systems-manager";
import { CloudError } from "../cloud";
import { MemoryStore } from "./memory-store";

/** A command whose last word is this does not end by itself. */
const ENDLESS = "'endless'";
const QUICK_MS = 2_000;

type Calls = {
  readonly [Name in keyof SystemsManagerActions]: (
    input: SystemsManagerActions[Name]["input"],
  ) => Promise<SystemsManagerActions[Name]["output"]>;
};

/** Parameters in memory, and commands that take virtual time and print nothing. */
export class SimulatedSystemsManager implements SystemsManager {
  readonly #store = new MemoryStore();
  readonly #statuses = new Map<string, "InProgress" | "Success" | "Cancelled">();
  readonly #calls: Calls = {
    GetParametersByPath: async ({ Path }) => ({ Parameters: await this.parameters(`${Path}/`) }),
    PutParameter: async ({ Name = "", Value = "", Overwrite }) => {
      if (Overwrite) await this.#store.write(Name, Value);
      else if (!(await this.#store.create(Name, Value))) throw refusal("PutParameter", "ParameterAlreadyExists");
      return {};
    },
    DeleteParameter: async ({ Name = "" }) => {
      await this.#store.remove(Name);
      return {};
    },
    SendCommand: async ({ Parameters }) => {
      const CommandId = String(this.#statuses.size + 1);
      this.#statuses.set(CommandId, "InProgress");
      const isEndless = Parameters?.commands?.[0]?.endsWith(ENDLESS) === true;
      if (!isEndless) this.scheduler.after(QUICK_MS, () => this.#settle(CommandId, "Success"));
      return { Command: { CommandId } };
    },
    GetCommandInvocation: async ({ CommandId = "" }) => ({ Status: this.#statuses.get(CommandId) }),
    CancelCommand: async ({ CommandId = "" }) => {
      this.#settle(CommandId, "Cancelled");
      return {};
    },
  };

  /** @param fault an error instead of the call. */
  constructor(
    private readonly scheduler: Scheduler,
    private readonly fault: (name: keyof SystemsManagerActions, input: object) => CloudError | undefined = () =>
      undefined,
  ) {}

  async call<Name extends keyof SystemsManagerActions>(
    name: Name,
    input: SystemsManagerActions[Name]["input"],
  ): Promise<SystemsManagerActions[Name]["output"]> {
    const fault = this.fault(name, input);
    if (fault) throw fault;
    return this.#calls[name](input);
  }

  /** Commands that have not ended. */
  get underWay(): number {
    return [...this.#statuses.values()].filter((status) => status === "InProgress").length;
  }

  async parameters(prefix: string): Promise<{ readonly Name: string; readonly Value: string }[]> {
    return [...(await this.#store.list(prefix))].map(([Name, Value]) => ({ Name, Value }));
  }

  #settle(id: string, status: "Success" | "Cancelled"): void {
    if (this.#statuses.get(id) === "InProgress") this.#statuses.set(id, status);
  }
}

function refusal(action: string, code: string): CloudError {
  return new CloudError(`ssm:${action}`, code, code);
}
