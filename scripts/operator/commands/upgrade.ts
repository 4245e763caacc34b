import { Command, InvalidArgumentError, Option } from "commander";
import * as z from "zod";
import { examples } from "../../command-line";
import { parseDuration } from "../../rolling-update/cli/duration";
import { refusing } from "../../rolling-update/cli/roll-settings";
import { listAll, listById } from "../list-all";
import { cells, deploymentAction, type OperatorContext, type OperatorSurroundings } from "../operator-command";
import { OperatorError } from "../operator-error";
import { facts, listed } from "../table";

const Upgrade = z.looseObject({
  id: z.string(),
  state: z.string(),
  program: z.string(),
  version: z.string(),
  pool: z.string(),
  detail: z.string().nullish(),
});
type Upgrade = z.output<typeof Upgrade>;

const Asked = z.looseObject({ workerId: z.string(), state: z.string(), detail: z.string().nullable() });

const OPEN = ["running", "paused"];

/** What an operator may do to an upgrade that has not ended, and what is said then. */
const STEPS = {
  pause: { does: "ask no further worker until it is resumed", said: "is paused; workers that began go on" },
  resume: { does: "go on with a paused upgrade", said: "goes on" },
  abort: { does: "ask no further worker, for good", said: "is aborted; workers that have the version keep it" },
} as const;

export function upgradeCommand(surroundings: OperatorSurroundings): Command {
  const group = new Command("upgrade")
    .description("a new version of the agent or the daemon, given to a pool's workers wave by wave")
    .addHelpText(
      "after",
      `
A worker verifies checksum and signature, and rolls back by itself if it is not healthy with the new version; that ends the upgrade.
${examples(
  "holdfast upgrade start agent 2.1.0 --from https://releases.example/agent-2.1.0.mjs --sha256 9f86d0… --signature MEUCIQ…",
  "holdfast upgrade start daemon 3.0.1 --pool streaming --wave-size 5 --soak 10m --from … --sha256 … --signature …",
  "holdfast upgrade status",
  "holdfast upgrade pause && holdfast upgrade resume",
  "holdfast upgrade abort 6d0c1b7e-…",
)}`,
    );

  deploymentAction(
    group
      .command("start")
      .description("start an upgrade of one pool's workers")
      .addHelpText(
        "after",
        examples(
          "holdfast upgrade start agent 2.1.0 --from https://releases.example/agent-2.1.0.mjs --sha256 9f86d0… --signature MEUCIQ…",
        ),
      )
      .argument("<program>", "agent or daemon", parseProgram)
      .argument("<version>", "the version that workers are to run")
      .requiredOption("--from <url>", "https address from which workers fetch it")
      .requiredOption("--sha256 <hex>", "its checksum, 64 hex digits in lower case")
      .requiredOption("--signature <base64>", "its signature")
      .option("--pool <pool>", "the pool whose workers are upgraded", "default")
      .option(
        "--wave-size <number>",
        "workers that may be without proof of health at the same time (default: 1)",
        parseCount,
      )
      .option(
        "--soak <duration>",
        "how long a worker must be healthy before the next is asked (default: 1m)",
        refusing(parseDuration),
      )
      .option(
        "--deadline <duration>",
        "how long a worker may take to be healthy (default: 15m)",
        refusing(parseDuration),
      )
      .addOption(new Option("--downgrade", "let workers take a version older than their own")),
    surroundings,
    async ({ api, args: [program = "", version = ""], flags, print }, base) => {
      const wanted = {
        program,
        version,
        url: flags["from"],
        sha256: flags["sha256"],
        signature: flags["signature"],
        pool: flags["pool"],
        waveSize: flags["waveSize"],
        soakMs: flags["soak"],
        deadlineMs: flags["deadline"],
        downgrade: flags["downgrade"],
      };
      const { id } = await api.post(`${base}/upgrades`, wanted, z.object({ id: z.string() }));
      print({ id }, `started upgrade ${id}; watch it: holdfast upgrade status ${id}`);
    },
  );

  deploymentAction(
    group
      .command("status")
      .description("list upgrades, or show one and every worker that was asked")
      .addHelpText("after", examples("holdfast upgrade status"))
      .argument("[id]", "id of an upgrade"),
    surroundings,
    async (context, base) => {
      const [id] = context.args;
      const all = await list(context, base);
      if (id === undefined) {
        const text = listed(HEAD, all.map(row), "there was no upgrade");
        context.print(all, `${text}${adviceOn(all)}`);
        return;
      }
      const upgrade = withId(all, id);
      const workers = await listAll(context.api, `${base}/upgrades/${id}/workers`, Asked, ({ workerId }) => workerId);
      const asked = workers.map((worker) => cells(worker, "workerId", "state", "detail"));
      const table = listed(["WORKER", "STATE", "DETAIL"], asked, "no worker was asked yet");
      context.print({ ...upgrade, workers }, `${facts(upgrade)}\n\n${table}${adviceOn([upgrade])}`);
    },
  );

  for (const [step, { does, said }] of Object.entries(STEPS)) {
    deploymentAction(
      group
        .command(step)
        .description(does)
        .addHelpText("after", examples(`holdfast upgrade ${step}`))
        .argument("[id]", "id of an upgrade (default: the only one that has not ended)"),
      surroundings,
      async (context, base) => {
        const { id, program, version } = chosen(await list(context, base), context.args[0]);
        await context.api.post(`${base}/upgrades/${id}/${step}`, {}, z.object({}));
        context.print({ id }, `the upgrade of the ${program} to ${version} ${said}`);
      },
    );
  }
  return group;
}

async function list({ api }: OperatorContext, base: string): Promise<Upgrade[]> {
  return await listById(api, `${base}/upgrades`, Upgrade);
}

const HEAD = ["ID", "STATE", "PROGRAM", "VERSION", "POOL", "ASKED", "HEALTHY", "DETAIL"];
const row = (upgrade: Upgrade): string[] =>
  cells(upgrade, "id", "state", "program", "version", "pool", "asked", "healthy", "detail");

/** What to do about workers for which an upgrade waits in vain. */
function adviceOn(all: readonly Upgrade[]): string {
  const waits = all.some(({ state, detail }) => OPEN.includes(state) && detail?.includes("(silent)"));
  return waits ? "\nnext: once the instance of a silent worker is gone, say so: holdfast worker gone <worker>" : "";
}

function chosen(all: readonly Upgrade[], id: string | undefined): Upgrade {
  if (id !== undefined) return withId(all, id);
  const open = all.filter(({ state }) => OPEN.includes(state));
  const [only, another] = open;
  if (!only) {
    throw new OperatorError("UPGRADE_MISSING", "no upgrade is under way", { next: "holdfast upgrade status" });
  }
  if (another) {
    const ids = open.map((upgrade) => upgrade.id).join(", ");
    throw new OperatorError("UPGRADE_AMBIGUOUS", `several upgrades are under way: ${ids}`, {
      next: "name one by its id",
    });
  }
  return only;
}

function withId(all: readonly Upgrade[], id: string): Upgrade {
  const found = all.find((upgrade) => upgrade.id === id);
  if (found) return found;
  throw new OperatorError("UPGRADE_UNKNOWN", `there is no upgrade ${id}`, { next: "holdfast upgrade status" });
}

function parseProgram(text: string): string {
  if (text !== "agent" && text !== "daemon") throw new InvalidArgumentError("write agent or daemon");
  return text;
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError("write a whole number from 1");
  return Number(text);
}
