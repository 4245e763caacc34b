import { Command, InvalidArgumentError, Option } from "commander";
import * as z from "zod";
import { examples } from "../../command-line";
import { quotedWord } from "../../shell-word";
import { listNamed } from "../list-all";
import {
  cells,
  collectPair,
  deploymentAction,
  Listed,
  type OperatorContext,
  type OperatorSurroundings,
  oneOf,
} from "../operator-command";
import { OperatorError } from "../operator-error";
import { facts, listed } from "../table";

const Job = Listed.extend({
  state: z.string(),
  /** Null: nothing is said to be missing; empty: the position is not known. */
  gapAfter: z.string().nullish(),
  metrics: z.looseObject({ lagMs: z.number().optional() }).nullish(),
});

const ShownJob = Job.extend({ logTail: z.array(z.string()).default([]) });

/** What the API answers to a wish. */
const Wished = z.object({
  state: z.string(),
  leftSlot: z.object({ slot: z.string(), source: z.string(), drop: z.string() }).optional(),
});

/** What a job can be asked to do, and how that is told. */
const WISHES = {
  run: "queue a job; a worker claims it and goes on from its last checkpoint",
  pause: "let a job reach a checkpoint and rest until it is run",
  stop: "end a job; its slot stays, so that it can be run again",
  delete: "end a job for good and remove what it keeps in its source",
} as const;

export function jobCommand(surroundings: OperatorSurroundings): Command {
  const group = new Command("job")
    .description("jobs: what is copied from where to where")
    .addHelpText(
      "after",
      examples(
        "holdfast job create orders --source orders-db --sink warehouse --tables public.orders,public.items",
        "holdfast job list",
        "holdfast job show orders --json",
        "holdfast job pause orders && holdfast job run orders",
        "holdfast job acknowledge-gap orders",
      ),
    );

  deploymentAction(
    group
      .command("create")
      .description("create a job and run it")
      .addHelpText(
        "after",
        examples("holdfast job create orders --source orders-db --sink warehouse --tables public.orders,public.items"),
      )
      .argument("<name>", "its name in the deployment")
      .requiredOption("--source <datasource>", "name or id of the datasource to read")
      .requiredOption("--sink <datasource>", "name or id of the datasource to write")
      .requiredOption("--tables <list>", "tables, separated by commas", parseTables)
      .option("--no-snapshot", "do not copy the tables' present rows first")
      .option("--no-run", "create it at rest; holdfast job run starts it")
      .option("--pool <pool>", "the pool of workers that may run it", "default")
      .option("--label <key=value>", "a label its worker must have; may be repeated", collectPair)
      .option("--option <key=value>", "a setting of the daemon; may be repeated", collectPair)
      .option("--priority <number>", "0 to 1000, smaller is sooner (default: 100)", parseWhole)
      .option("--max-retries <number>", "failures in a row before it is given up (default: 10)", parseWhole)
      .addOption(
        new Option(
          "--on-disconnect <what>",
          "what its worker does when the control plane is out of reach (default: stop)",
        ).choices(["stop", "keep"]),
      ),
    surroundings,
    async (context, base) => {
      const {
        api,
        flags,
        args: [name = ""],
        print,
      } = context;
      const datasources = await listNamed(api, `${base}/datasources`, Listed);
      const idOf = (wanted: unknown) => oneOf(datasources, "datasource", String(wanted), "holdfast datasource list").id;
      const wanted = {
        name,
        sourceId: idOf(flags["source"]),
        sinkId: idOf(flags["sink"]),
        tables: flags["tables"],
        snapshot: flags["snapshot"],
        run: flags["run"],
        pool: flags["pool"],
        labels: flags["label"],
        options: flags["option"],
        priority: flags["priority"],
        maxRetries: flags["maxRetries"],
        onDisconnect: flags["onDisconnect"],
      };
      const { id } = await api.post(`${base}/jobs`, wanted, z.object({ id: z.string() }));
      print({ id, name }, `created job ${name}${flags["run"] ? "; a worker will claim it" : ""}`);
    },
  );

  deploymentAction(
    group.command("list").description("list jobs").addHelpText("after", examples("holdfast job list")),
    surroundings,
    async ({ api, print }, base) => {
      const all = await listNamed(api, `${base}/jobs`, Job);
      const rows = all.map((job) => [
        ...cells(job, "name", "state", "phase", "workerId", "source", "sink"),
        job.metrics?.lagMs === undefined ? "" : `${job.metrics.lagMs} ms`,
        ...cells(job, "failures"),
      ]);
      const head = ["NAME", "STATE", "PHASE", "WORKER", "SOURCE", "SINK", "LAG", "FAILURES"];
      print(all, listed(head, rows, "there is no job"));
    },
  );

  deploymentAction(
    group
      .command("show")
      .description("show a job, and the last output of its daemon")
      .addHelpText("after", examples("holdfast job show orders --json"))
      .argument("<name>", "name or id"),
    surroundings,
    async (context, base) => {
      const { id } = await found(context, base);
      const job = await context.api.get(`${base}/jobs/${id}`, ShownJob);
      const { logTail, ...rest } = job;
      context.print(job, [facts(rest), ...(logTail.length > 0 ? ["last output:", ...logTail] : [])].join("\n"));
    },
  );

  for (const [wish, description] of Object.entries(WISHES)) {
    deploymentAction(
      group
        .command(wish)
        .description(description)
        .addHelpText("after", examples(`holdfast job ${wish} orders`))
        .argument("<name>", "name or id"),
      surroundings,
      async (context, base) => {
        const { id, name, state: before } = await found(context, base);
        const wished = await context.api.post(`${base}/jobs/${id}/${wish}`, {}, Wished);
        const { state, leftSlot } = wished;
        const waits = state === before && ["starting", "running"].includes(state);
        const text = waits ? `asked the worker of job ${name} to ${wish} it` : `job ${name} is ${state}`;
        context.print({ id, name, ...wished }, leftSlot ? `${text}${warningOf(leftSlot)}` : text);
      },
    );
  }
  return group.addCommand(gapCommand(surroundings));
}

function gapCommand(surroundings: OperatorSurroundings): Command {
  const command = new Command("acknowledge-gap")
    .description("say that you dealt with the changes of a job that may be missing, which removes its mark")
    .argument("<name>", "name or id")
    .option("--after <position>", "the position that you saw; refused if another gap was told since")
    .option("--yes", "do it")
    .addHelpText(
      "after",
      `
A job is marked once its daemon made its slot anew: what changed after the position and before the new slot may be missing, and copying
the tables again does not remove the rows that were deleted in between. Compare the sink's tables with the source's and put right what
differs before you acknowledge. Or empty them, delete the job and create it anew with a snapshot: that needs no acknowledgement.
${examples("holdfast job acknowledge-gap orders", "holdfast job acknowledge-gap orders --after 0/16B3748 --yes")}`,
    );
  return deploymentAction(command, surroundings, async (context, base) => {
    const { flags, print } = context;
    const { id, name, gapAfter: told } = await found(context, base);
    if (typeof told !== "string") {
      print({ id, name, gapAfter: null }, `no changes of job ${name} are said to be missing`);
      return;
    }
    const missing = `changes of job ${name} may be missing after ${told || "an unknown position"}`;
    if (!flags["yes"]) {
      const again = `holdfast job acknowledge-gap ${name} --after ${quotedWord(told)} --yes`;
      throw new OperatorError("NOT_CONFIRMED", `nothing was changed: ${missing}`, {
        where: `job ${name}`,
        next: `compare the sink's tables with the source's, also for rows that were deleted in between, put right what differs, then: ${again}`,
      });
    }
    const gapAfter = String(flags["after"] ?? told);
    await context.api.post(`${base}/jobs/${id}/acknowledge-gap`, { gapAfter }, z.object({}));
    print({ id, name, gapAfter }, `acknowledged that ${missing}`);
  });
}

/** What to do about a slot that may be left in a source, which nobody else is going to look after. */
function warningOf({ slot, source, drop }: NonNullable<z.output<typeof Wished>["leftSlot"]>): string {
  return `; no worker ran it, so none could clean up in its source
replication slot ${slot} may be left in ${source}, which then keeps its log for it until the disk is full; drop it there:
  ${drop}`;
}

async function found({ api, args: [wanted = ""] }: OperatorContext, base: string): Promise<z.output<typeof Job>> {
  return oneOf(await listNamed(api, `${base}/jobs`, Job), "job", wanted, "holdfast job list");
}

function parseTables(text: string): string[] {
  const tables = text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
  if (tables.length === 0) throw new InvalidArgumentError("name one table at least");
  return tables;
}

function parseWhole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("write a whole number");
  return Number(text);
}
