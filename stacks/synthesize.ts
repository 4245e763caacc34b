import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App, type TerraformStack } from "cdktf";
import { DeploymentStack } from "./deployment-stack";
import type { Deployment } from "./deployments";
import { InvalidDeployments, type Problem } from "./problem";

/** A stack whose Terraform JSON has been written. */
export interface SynthesizedStack {
  readonly name: string;
  /** The JSON, relative to the output directory. */
  readonly path: string;
  /** What its constructs advise against, without refusing it. */
  readonly warnings: readonly string[];
}

/**
 * Writes one stack for each deployment to `outdir`, in the layout that the cdktf CLI deploys from. Whatever fails, fails
 * before the first file is written there.
 *
 * @throws InvalidDeployments with what the constructs of every deployment object to.
 */
export function synthesize(deployments: readonly Deployment[], outdir: string): SynthesizedStack[] {
  const scratch = mkdtempSync(join(tmpdir(), "holdfast-synth-"));
  try {
    const app = new App({ outdir: scratch, stackTraces: false });
    const problems = deployments.flatMap((deployment) => addStack(app, deployment));
    if (problems.length > 0) {
      throw new InvalidDeployments(problems);
    }
    app.synth();
    cpSync(scratch, outdir, { recursive: true });
    return Object.values(app.manifest.stacks).map(({ name, synthesizedStackPath, annotations }) => ({
      name,
      path: synthesizedStackPath,
      warnings: annotations.map(({ constructPath, message }) => `${constructPath}: ${message}`),
    }));
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function addStack(app: App, { kind, keys, document }: Deployment): Problem[] {
  try {
    const stack = new DeploymentStack(app, keys);
    kind.build(stack, keys);
    return objections(stack).map((message) => document.problem([], `${keys.name}: ${message}`));
  } catch (error) {
    return [document.problem([], `${keys.name}: ${error instanceof Error ? error.message : error}`)];
  }
}

function objections(stack: TerraformStack): string[] {
  return stack.node.findAll().flatMap(({ node }) => node.validate());
}
