import { Agent, request } from "node:http";
import { WORKER_PATH } from "../../control-plane/protocol/limits";

/** Asks a copy of the control plane over connections that stay open, without what `fetch` costs. */
export class Connections {
  /** By itself it would keep 256 connections that rest and open each other one anew. */
  private readonly agent = new Agent({ keepAlive: true, maxFreeSockets: Number.POSITIVE_INFINITY });

  constructor(private readonly url: string) {}

  /** Sends a message of the worker protocol. @throws Error unless the answer is 200, or where none comes. */
  async post(name: string, token: string, body: object): Promise<string> {
    return await this.ask(WORKER_PATH + name, token, body);
  }

  /** @throws Error unless the answer is 200, or where none comes. */
  async ask(path: string, token: string, body: object): Promise<string> {
    const text = JSON.stringify(body);
    const headers = {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    };
    return await new Promise((resolve, reject) => {
      const asked = request(this.url + path, { method: "POST", agent: this.agent, headers }, (answer) => {
        let said = "";
        answer.setEncoding("utf8").on("data", (part: string) => {
          said += part;
        });
        answer.once("error", reject);
        answer.once("end", () =>
          answer.statusCode === 200 ? resolve(said) : reject(new Error(`${path}: ${answer.statusCode} ${said}`)),
        );
      });
      asked.once("error", reject);
      asked.end(text);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}
