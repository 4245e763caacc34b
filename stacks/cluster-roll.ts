import { join } from "node:path";
import { TerraformAsset, Token } from "cdktf";
import { hcl, PATH_MODULE } from "../modules/publish/expressions";
import { NULL_PROVIDER } from "../modules/publish/module-stack";
import { RollFromNodes } from "../modules/stateful-cluster/roll-from-nodes";
import { RollTrigger, rollManifest } from "../modules/stateful-cluster/roll-trigger";
import type { StatefulCluster } from "../modules/stateful-cluster/stateful-cluster";
import type { DeploymentStack } from "./deployment-stack";
import type { RollDocument } from "./roll-keys";
import { rollWords } from "./roll-words";

const BUNDLES = join(__dirname, "../dist");

/** Has an apply roll the cluster, or lets a roll be started on a node, as far as the document wants it. */
export function addRoll(stack: DeploymentStack, cluster: StatefulCluster, name: string, roll: RollDocument): void {
  const nodes = [...cluster.nodes.values()].map((node) => node.rollTarget);
  if (roll.when === "apply") {
    stack.requireProvider(NULL_PROVIDER);
    new RollTrigger(stack, "roll", {
      clusterName: name,
      nodes,
      program: `${PATH_MODULE}/${bundlePath(stack, "roll")}`,
      options: rollWords(roll),
    });
  }
  if (roll.from_nodes) {
    new RollFromNodes(stack, "roll_from_nodes", {
      clusterName: name,
      manifest: rollManifest(stack, name, nodes),
      program: Token.asString(hcl(`trimspace(file("\${path.module}/${bundlePath(stack, "roll-on-node")}"))`)),
      nodeRoleArn: cluster.roleArn,
    });
  }
}

/** Of a built program, which goes with the stack's Terraform JSON: from there. */
function bundlePath(stack: DeploymentStack, program: string): string {
  return new TerraformAsset(stack, `${program}_program`, { path: join(BUNDLES, `${program}.mjs`) }).path;
}
