import { Command } from "commander";
import * as z from "zod";
import { cells, deploymentAction, type OperatorContext, type OperatorSurroundings, oneOf } from "../operator-command";
import { facts, table } from "../table";

/** Workers are called by their worker id; a session is one life of the agent. */
const Worker = z
  .looseObject({ sessionId: z.string(), workerId: z.string(), draining: z.boolean(), silentMs: z.number() })
  .transform((worker) => ({ ...worker, id: worker.sessionId, name: worker.workerId, state: stateOf(worker) }));

export function workerCommand(surroundings: OperatorSurroundings): Command {
  const group = new Command("worker").description("workers whose agents are registered").addHelpText(
    "after",
    `
Examples:
  $ holdfast worker list
  $ holdfast worker drain i-0abc123
  $ holdfast worker revoke i-0abc123`,
  );

  deploymentAction(group.command("list").description("list workers"), surroundings, async ({ api, print }, base) => {
    const all = await api.get(`${base}/workers`, z.array(Worker));
    const rows = all.map((worker) => [...cells(worker, "name", "state", "pool", "jobs", "slots", "agentVersion")]);
    print(all, table(["WORKER", "STATE", "POOL", "JOBS", "SLOTS", "AGENT"], rows));
  });

  deploymentAction(
    group.command("show").description("show a worker").argument("<worker>", "worker id, or id of its session"),
    surroundings,
    async (context, base) => {
      const worker = await found(context, base);
      context.print(worker, facts(worker));
    },
  );

  deploymentAction(
    group
      .command("drain")
      .description("give a worker no more work and let it hand over what it runs")
      .argument("<worker>", "worker id, or id of its session"),
    surroundings,
    async (context, base) => {
      const { id, name } = await found(context, base);
      await context.api.post(`${base}/workers/${id}/drain`, {}, z.object({}));
      context.print({ id, name }, `worker ${name} drains; watch it: holdfast worker show ${name}`);
    },
  );

  deploymentAction(
    group
      .command("revoke")
      .description("revoke a worker's token; it goes on only if the deployment's token still registers it")
      .argument("<worker>", "worker id, or id of its session"),
    surroundings,
    async (context, base) => {
      const { id, name } = await found(context, base);
      await context.api.post(`${base}/workers/${id}/revoke`, {}, z.object({}));
      context.print({ id, name }, `revoked the token of worker ${name}`);
    },
  );
  return group;
}

async function found({ api, args: [wanted = ""] }: OperatorContext, base: string): Promise<z.output<typeof Worker>> {
  return oneOf(await api.get(`${base}/workers`, z.array(Worker)), "worker", wanted, "holdfast worker list");
}

function stateOf({ draining, silentMs }: { draining: boolean; silentMs: number }): string {
  if (silentMs > 0) return `silent for ${Math.round(silentMs / 1_000)} s`;
  return draining ? "draining" : "healthy";
}
