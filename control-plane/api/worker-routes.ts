import { WORKER_PATH } from "../protocol/limits";
import { MESSAGES } from "../protocol/schemas";
import type { ApiContext } from "./context";
import { RequestRefused, sessionClosed } from "./refusal";
import type { Call, Routes } from "./routes";
import { HANDLERS, type Sender } from "./worker-messages";

/** What is written together with the token's check. */
const CHECKING: ReadonlySet<string> = new Set(["heartbeat", "claim", "started", "report"]);

/** Mounts the worker protocol: one POST per message. */
export function addWorkerRoutes(routes: Routes, api: ApiContext): void {
  for (const name of Object.keys(HANDLERS) as (keyof typeof HANDLERS)[]) {
    const handler = HANDLERS[name] as (api: ApiContext, sender: Sender, request: never) => Promise<object>;
    routes.add({
      method: "post",
      path: `${WORKER_PATH}${name}`,
      summary: `Message ${name} of the worker protocol`,
      token: name === "register" ? "deployment" : "worker",
      checksToken: CHECKING.has(name),
      body: MESSAGES[name].request,
      answer: MESSAGES[name].response,
      handle: (call) => handler(api, senderOf(call), call.body as never) as Promise<never>,
    });
  }
}

function senderOf({ holder, gone, outgoing }: Call<unknown>): Sender {
  const { deploymentId, session } = holder;
  if (!deploymentId) throw new RequestRefused(403, "token_scope", "the token belongs to no deployment");
  if (session?.state === "closed") throw sessionClosed();
  const { id: sessionId = "", pool = "", labels = {} } = session ?? {};
  return { holder, deploymentId, sessionId, placement: { deploymentId, pool, labels }, gone, outgoing };
}
