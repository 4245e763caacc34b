import { Command } from "commander";
import * as z from "zod";
import { examples } from "../../command-line";
import { listAll, listNamed } from "../list-all";
import { cells, Listed, type OperatorSurroundings, oneOf, operatorAction } from "../operator-command";
import { facts, listed } from "../table";

const DEPLOYMENTS = "/api/v1/deployments";
const Counted = z.object({
  state: z.string().optional(),
  name: z.string().optional(),
  workerId: z.string().nullish(),
});

export function deploymentCommand(surroundings: OperatorSurroundings): Command {
  const group = new Command("deployment")
    .description("deployments of the control plane: each has its own datasources, jobs, workers and tokens")
    .addHelpText(
      "after",
      examples("holdfast deployment create shop", "holdfast deployment list --json", "holdfast deployment show shop"),
    );

  operatorAction(
    group
      .command("create")
      .description("create a deployment")
      .addHelpText("after", examples("holdfast deployment create shop"))
      .argument("<name>", "letters, digits, dots, dashes, underscores"),
    surroundings,
    async ({ api, args: [name = ""], print }) => {
      const { id } = await api.post(DEPLOYMENTS, { name }, z.object({ id: z.string() }));
      print(
        { id, name },
        `created deployment ${name}\nnext: holdfast token create --deployment ${name} --kind deployment --out <file>`,
      );
    },
  );

  operatorAction(
    group
      .command("list")
      .description("list deployments")
      .addHelpText("after", examples("holdfast deployment list --json")),
    surroundings,
    async ({ api, print }) => {
      const all = await listNamed(api, DEPLOYMENTS, Listed);
      print(
        all,
        listed(
          ["NAME", "ID"],
          all.map((each) => cells(each, "name", "id")),
          "there is no deployment: holdfast deployment create <name>",
        ),
      );
    },
  );

  operatorAction(
    group
      .command("show")
      .description("sum a deployment up")
      .addHelpText("after", examples("holdfast deployment show shop"))
      .argument("<name>", "name or id"),
    surroundings,
    async ({ api, args: [wanted = ""], print }) => {
      const all = await listNamed(api, DEPLOYMENTS, Listed);
      const { id, name } = oneOf(all, "deployment", wanted, "holdfast deployment list");
      const [jobs, workers, datasources] = await Promise.all(
        ["jobs", "workers", "datasources"].map((what) =>
          listAll(api, `${DEPLOYMENTS}/${id}/${what}`, Counted, ({ name, workerId }) => name ?? workerId ?? ""),
        ),
      );
      const byState: Record<string, number> = {};
      for (const { state = "" } of jobs ?? []) byState[state] = (byState[state] ?? 0) + 1;
      const shown = { name, id, datasources: datasources?.length ?? 0, workers: workers?.length ?? 0, jobs: byState };
      print(shown, facts(shown));
    },
  );
  return group;
}
