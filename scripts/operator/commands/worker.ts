import { Command } from "commander";
import * as z from "zod";
import { examples } from "../../command-line";
import { formatDuration } from "../../rolling-update/cli/duration";
import { listNamed } from "../list-all";
import { cells, deploymentAction, type OperatorContext, type OperatorSurroundings, oneOf } from "../operator-command";
import { OperatorError } from "../operator-error";
import { facts, listed } from "../table";

/** Workers are called by their worker id; a session is one life of the agent. */
const Worker = z
  .looseObject({
    sessionId: z.string(),
    workerId: z.string(),
    draining: z.boolean(),
    silentMs: z.number(),
    jobs: z.number(),
  })
  .transform((worker) => ({ ...worker, id: worker.sessionId, name: worker.workerId, state: stateOf(worker) }));

export function workerCommand(surroundings: OperatorSurroundings): Command {
  const group = new Command("worker")
    .description("workers whose agents are registered")
    .addHelpText(
      "after",
      examples(
        "holdfast worker list",
        "holdfast worker drain i-0abc123",
        "holdfast worker revoke i-0abc123",
        "holdfast worker gone i-0abc123 --yes",
      ),
    );

  deploymentAction(
    group.command("list").description("list workers").addHelpText("after", examples("holdfast worker list")),
    surroundings,
    async ({ api, print }, base) => {
      const all = await listNamed(api, `${base}/workers`, Worker);
      const rows = all.map((worker) => [...cells(worker, "name", "state", "pool", "jobs", "slots", "agentVersion")]);
      print(all, listed(["WORKER", "STATE", "POOL", "JOBS", "SLOTS", "AGENT"], rows, "no worker is registered"));
    },
  );

  deploymentAction(
    group
      .command("show")
      .description("show a worker")
      .addHelpText("after", examples("holdfast worker show i-0abc123"))
      .argument("<worker>", "worker id, or id of its session"),
    surroundings,
    async (context, base) => {
      const worker = await found(context, base);
      const { id: _, name: __, ...told } = worker;
      context.print(worker, facts(told));
    },
  );

  deploymentAction(
    group
      .command("drain")
      .description("give a worker no more work and let it hand over what it runs")
      .addHelpText("after", examples("holdfast worker drain i-0abc123"))
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
      .addHelpText("after", examples("holdfast worker revoke i-0abc123"))
      .argument("<worker>", "worker id, or id of its session"),
    surroundings,
    async (context, base) => {
      const { id, name } = await found(context, base);
      await context.api.post(`${base}/workers/${id}/revoke`, {}, z.object({}));
      context.print({ id, name }, `revoked the token of worker ${name}`);
    },
  );

  deploymentAction(
    group
      .command("gone")
      .description(
        "say that a silent worker's instance is gone: others get what it ran, also what it keeps on disconnection",
      )
      .argument("<worker>", "worker id, or id of its session")
      .option("--yes", "do it")
      .addHelpText(
        "after",
        `
Jobs that keep on disconnection (onDisconnect keep) stay with a silent worker, since their daemons may still be alive. Say that it is gone
only once you know that its instance was terminated or is switched off. If it is alive after all, its daemons run beside the new
ones until it reaches the control plane again and hears that its session is closed. A worker that still sends heartbeats is refused: drain it.
${examples("holdfast worker gone i-0abc123", "holdfast worker gone i-0abc123 --yes")}`,
      ),
    surroundings,
    async (context, base) => {
      const { id, name, state, jobs } = await found(context, base);
      if (!context.flags["yes"]) {
        throw new OperatorError(
          "NOT_CONFIRMED",
          `nothing was changed: what worker ${name} holds (jobs: ${jobs}) would run twice if its daemons are alive after all`,
          { where: `worker ${name}, ${state}`, next: `once its instance is gone: holdfast worker gone ${name} --yes` },
        );
      }
      const { freed } = await context.api.post(`${base}/workers/${id}/gone`, {}, z.object({ freed: z.int() }));
      context.print({ id, name, freed }, `worker ${name} is gone; jobs freed: ${freed}`);
    },
  );
  return group;
}

async function found({ api, args: [wanted = ""] }: OperatorContext, base: string): Promise<z.output<typeof Worker>> {
  return oneOf(await listNamed(api, `${base}/workers`, Worker), "worker", wanted, "holdfast worker list");
}

function stateOf({ draining, silentMs }: { draining: boolean; silentMs: number }): string {
  if (silentMs > 0) return `silent for ${formatDuration(silentMs)}`;
  return draining ? "draining" : "healthy";
}
