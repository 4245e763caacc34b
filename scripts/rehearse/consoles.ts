import type { Output } from "./output";
import type { Stage } from "./stage/stage";

/** Keeps what every instance of every node wrote to its console. */
export class Consoles {
  readonly #seen: { readonly node: string; readonly instance: string }[] = [];

  constructor(private readonly stage: Stage) {}

  note(node: string, instance: string): void {
    if (this.#seen.some((known) => known.instance === instance)) return;
    this.#seen.push({ node, instance });
  }

  /** Of every instance that stood for the node, the first one first; undefined where none did. */
  async of(node: string): Promise<string | undefined> {
    const own = this.#seen.filter((known) => known.node === node);
    if (own.length === 0) return undefined;
    const texts = own.map(async ({ instance }) => `=== ${instance}\n${await this.#console(instance)}`);
    return (await Promise.all(texts)).join("\n");
  }

  async writeTo(output: Output): Promise<void> {
    for (const { node, instance } of this.#seen) output.writeLog(node, instance, await this.#console(instance));
  }

  async #console(instance: string): Promise<string> {
    const text = await this.stage
      .machineOf(instance)
      ?.console()
      .catch(() => undefined);
    return text ?? "";
  }
}
