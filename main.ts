/** The CDKTF app: one stack for each YAML document in deployments/. `npm run synth -- --help` says more. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { deploymentSchema } from "./stacks/deployment-schema";
import { deploymentFiles, readDeployments } from "./stacks/deployments";
import { KINDS } from "./stacks/kinds";
import { InvalidDeployments } from "./stacks/problem";
import { synthesize } from "./stacks/synthesize";

const HELP = `npm run synth -- [options] [FILE...]

Writes Terraform JSON for every deployment; no Terraform is needed. Without FILE, the files are those named in
HOLDFAST_DEPLOYMENTS (separated by spaces), else every .yaml file in deployments/.

  --output DIR   where to write (default: CDKTF_OUTDIR, else cdktf.out)
  --schema FILE  write the JSON Schema of deployments for editors instead
  --help         show this

Examples:
  npm run synth
  npm run synth -- deployments/ez-cdc-production.yaml
  npx cdktf deploy production
`;

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { output: { type: "string" }, schema: { type: "string" }, help: { type: "boolean" } },
  });
  if (values.help) {
    process.stdout.write(HELP);
  } else if (values.schema !== undefined) {
    mkdirSync(dirname(values.schema), { recursive: true });
    writeFileSync(values.schema, `${JSON.stringify(deploymentSchema(KINDS), null, 2)}\n`);
  } else {
    synthesizeFiles(chosenFiles(positionals), values.output ?? process.env.CDKTF_OUTDIR ?? "cdktf.out");
  }
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

try {
  main();
} catch (error) {
  if (error instanceof InvalidDeployments) {
    const count = error.problems.length;
    console.error(`${error.message}\n${count} ${count === 1 ? "problem" : "problems"}; nothing was written`);
  } else {
    console.error(error instanceof Error ? error.message : error);
  }
  process.exitCode = 1;
}
