import { issueToken } from "../../control-plane/store/tokens";
import type { ServerProcess } from "../chaos/server-process";
import { Connections } from "./connections";
import type { BenchStore } from "./plane";

/** So many that none asks for more than one token may. */
const OPERATORS = 8;

/** Who creates jobs, drains workers and has connections tested, over HTTP at one copy. */
export class Operators {
  private readonly connections: Connections;
  private asked = 0;

  private constructor(
    private readonly store: BenchStore,
    copy: ServerProcess,
    private readonly tokens: readonly string[],
  ) {
    this.connections = new Connections(copy);
  }

  static async at(copy: ServerProcess, store: BenchStore): Promise<Operators> {
    const issued = Array.from({ length: OPERATORS }, () =>
      issueToken(store.pool, { kind: "operator", deploymentId: null }),
    );
    return new Operators(
      store,
      copy,
      (await Promise.all(issued)).map(({ token }) => token),
    );
  }

  /** @param sourceId of a datasource. @default - the store's one, which is the sink, too */
  async create(name: string, sourceId = this.store.datasourceId): Promise<void> {
    await this.ask("jobs", { name, sourceId, sinkId: this.store.datasourceId, tables: ["t"] });
  }

  /** Has a worker test the connection to the store's datasource. @returns the test's id */
  async test(): Promise<string> {
    const said = await this.ask(`datasources/${this.store.datasourceId}/test`, { role: "source" });
    return (JSON.parse(said) as { id: string }).id;
  }

  /** How a connection test stands: `waiting`, `answered` or `expired`. */
  async testState(testId: string): Promise<string> {
    const said = await this.connections.get(this.path(`connection-tests/${testId}`), `Bearer ${this.token()}`);
    return (JSON.parse(said) as { state: string }).state;
  }

  async drain(sessionId: string): Promise<void> {
    await this.ask(`workers/${sessionId}/drain`, {});
  }

  close(): void {
    this.connections.close();
  }

  private async ask(what: string, body: object): Promise<string> {
    return await this.connections.ask(this.path(what), this.token(), body);
  }

  private path(what: string): string {
    return `/api/v1/deployments/${this.store.deploymentId}/${what}`;
  }

  /** Each in turn. */
  private token(): string {
    return this.tokens[this.asked++ % OPERATORS] as string;
  }
}
