import { WORKER_PATH } from "../protocol/limits";
import { MESSAGES } from "../protocol/schemas";
import type { ApiContext } from "./context";
import { RequestRefused, sessionClosed } from "./refusal";
import type { Call, Routes } from "./routes";
import { HANDLERS, type Sender } from "./worker-messages";

/** Mounts the worker protocol: one POST per message. */
export function addWorkerRoutes(routes: Routes, api: ApiContext): void {
  for (const name of Object.keys(HANDLERS) as (keyof typeof HANDLERS)[]) {
    const handler = HANDLERS[name] as (api: ApiContext, sender: Sender, request: never) => Promise<object>;
    routes.add({
      method: "post",
      path: `${WORKER_PATH}${name}`,
      summary: `Message ${name} of the worker protocol`,
      token: name === "register" ? "deployment" : "worker",
      checksToken: name === "heartbeat",
      body: MESSAGES[name].request,
      answer: MESSAGES[name].response,
      handle: (call) => handler(api, senderOf(call), call.body as never) as Promise<never>,
    });
  }
}

function senderOf({ holder, gone, outgoing }: Call<unknown>): Sender {
  if (!holder.deploymentId) throw new RequestRefused(403, "token_scope", "the token belongs to no deployment");
  if (holder.session?.state === "closed") throw sessionClosed();
  return { holder, deploymentId: holder.deploymentId, sessionId: holder.session?.id ?? "", gone, outgoing };
}
