import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ModuleAsset, ModuleExample, PublishedModule } from "../publish/published-module";
import { nodeModule } from "../stateful-node/node-module";
import { clusterModule, ROLLER, ROLLER_ON_NODE } from "./cluster-module";

const EXAMPLES = join(__dirname, "../../examples");

/** A folder of `examples/`: a configuration, and the node config script that it names. */
const example = (name: string): ModuleExample => ({
  name,
  mainTf: readFileSync(join(EXAMPLES, name, "main.tf"), "utf8"),
});
const script = (name: string): ModuleAsset => ({
  from: `examples/${name}/node-config-script.sh`,
  to: `examples/${name}/node-config-script.sh`,
});

export const STATEFUL_CLUSTER_MODULE: PublishedModule = {
  name: "stateful-cluster",
  summary:
    "A cluster whose nodes keep their address and their data: per node an Auto Scaling group of one, a network interface, a data " +
    "volume and a launch template. A lost instance is replaced by one with the same address and data, which goes into service once " +
    "it has joined and the cluster is healthy. Takes the inputs, and stands at the addresses, of " +
    "prashantkalkar/stateful_application_module v0.8.0: an existing user changes `source` alone.",
  root: clusterModule,
  nested: { "node-module": nodeModule },
  assets: [
    { from: "dist/roll.mjs", to: ROLLER },
    { from: "dist/roll-on-node.mjs", to: ROLLER_ON_NODE },
    ...["zookeeper", "etcd", "kafka", "mongodb"].map(script),
  ],
  examples: [example("zookeeper"), example("etcd"), example("kafka"), example("mongodb")],
};
