import { issueToken } from "../../control-plane/store/tokens";
import type { ServerProcess } from "../chaos/server-process";
import { Connections } from "./connections";
import type { BenchStore } from "./plane";

/** So many that none asks for more than one token may. */
const OPERATORS = 8;

/** Who creates jobs and drains workers, over HTTP at one copy. */
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

  async drain(sessionId: string): Promise<void> {
    await this.ask(`workers/${sessionId}/drain`, {});
  }

  close(): void {
    this.connections.close();
  }

  private async ask(what: string, body: object): Promise<void> {
    const token = this.tokens[this.asked++ % OPERATORS] as string;
    await this.connections.ask(`/api/v1/deployments/${this.store.deploymentId}/${what}`, token, body);
  }
}
