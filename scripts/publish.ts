/** `npm run publish-module -- NAME --out DIR`: writes one of the modules as a Terraform module directory. */
import { relative } from "node:path";
import { Command } from "commander";
import { writeModule } from "../modules/publish/write-module";
import { PUBLISHED_MODULES } from "../modules/published-modules";
import { examples, fail, parse } from "./command-line";

const known = PUBLISHED_MODULES.map(({ name }) => name);

const program = new Command("npm run publish-module --")
  .description("Write a Terraform module directory: JSON with typed variables, assets, README, LICENSE and examples.")
  .argument("<name>", `the module: ${known.join(", ")}`)
  .requiredOption("--out <directory>", "where to write it; an earlier writing is replaced, anything else is refused")
  .option("--json", "print the names of the files as JSON")
  .addHelpText(
    "after",
    examples(
      `npm run publish-module -- ${known[0]} --out ../terraform-aws-${known[0]}`,
      `cd ../terraform-aws-${known[0]} && terraform init && terraform validate`,
    ),
  )
  .action((name: string, options: { out: string; json?: boolean }, command: Command) => {
    const module = PUBLISHED_MODULES.find((candidate) => candidate.name === name);
    if (module === undefined) {
      command.error(`error: there is no module '${name}'; known are ${known.join(", ")}`);
    }
    try {
      const files = writeModule(module, options.out);
      console.log(options.json ? JSON.stringify({ module: name, files }) : report(name, options.out, files));
    } catch (error) {
      fail(error);
    }
  });

void parse(program);

function report(name: string, directory: string, files: readonly string[]): string {
  const where = relative(process.cwd(), directory) || ".";
  return [`${name}: ${files.length} files in ${where}`, ...files.map((file) => `  ${file}`)].join("\n");
}
