/** The CDKTF app: one stack for each YAML document in deployments/. `npm run synth -- --help` says more. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Command } from "commander";
import { examples, fail, parse } from "./scripts/command-line";
import { deploymentSchema } from "./stacks/deployment-schema";
import { deploymentFiles, readDeployments } from "./stacks/deployments";
import { KINDS } from "./stacks/kinds";
import { InvalidDeployments } from "./stacks/problem";
import { synthesize } from "./stacks/synthesize";

interface Options {
  readonly output?: string;
  readonly schema?: string;
}

const program = new Command("npm run synth --")
  .description("Write Terraform JSON for every deployment; no Terraform is needed")
  .argument(
    "[file...]",
    "documents (default: those named in HOLDFAST_DEPLOYMENTS, separated by spaces, else every .yaml file in deployments/)",
  )
  .option("--output <directory>", "where to write it (default: CDKTF_OUTDIR, else cdktf.out)")
  .option("--schema <file>", "write the JSON Schema of deployments for editors instead")
  .addHelpText(
    "after",
    examples("npm run synth", "npm run synth -- deployments/ez-cdc-production.yaml", "npx cdktf deploy production"),
  )
  .action((files: readonly string[], { output, schema }: Options) => {
    try {
      if (schema !== undefined) writeSchema(schema);
      else synthesizeFiles(chosenFiles(files), output ?? process.env.CDKTF_OUTDIR ?? "cdktf.out");
    } catch (error) {
      if (!(error instanceof InvalidDeployments)) return fail(error);
      const count = error.problems.length;
      console.error(`${error.message}\n${count} ${count === 1 ? "problem" : "problems"}; nothing was written`);
      process.exitCode = 1;
    }
  });

function writeSchema(file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(deploymentSchema(KINDS), null, 2)}\n`);
}

function chosenFiles(named: readonly string[]): readonly string[] {
  if (named.length > 0) {
    return named;
  }
  const fromEnvironment = process.env.HOLDFAST_DEPLOYMENTS?.split(/\s+/).filter((file) => file !== "") ?? [];
  const files = fromEnvironment.length > 0 ? fromEnvironment : deploymentFiles("deployments");
  if (files.length === 0) {
    throw new Error("deployments/ holds no .yaml file; name one: npm run synth -- FILE");
  }
  return files;
}

function synthesizeFiles(files: readonly string[], outdir: string): void {
  for (const { name, path, warnings } of synthesize(readDeployments(files, KINDS), outdir)) {
    console.log(`${name}: ${join(outdir, path)}`);
    for (const warning of warnings) {
      console.log(`  warning: ${warning}`);
    }
  }
}

void parse(program);
