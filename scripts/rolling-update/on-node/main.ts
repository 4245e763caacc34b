import { assumedRole } from "../aws/assumed-role";
import { fetchCloud } from "../aws/fetch-cloud";
import { instanceRole, metadata } from "../aws/instance-credentials";
import { instanceOf } from "../aws/instance-of-node";
import { nodeCommands } from "../aws/node-commands";
import { parameterStore } from "../aws/parameter-store";
import { signedCalls } from "../aws/signed-calls";
import type { SystemsManager } from "../aws/systems-manager";
import { brief } from "../cli/brief";
import { CommandLine } from "../cli/command-line";
import { exitCodeOfError } from "../cli/exit-codes";
import { errorText } from "../cli/report";
import { rollActs } from "../cli/roll-acts";
import type { Surroundings } from "../cli/surroundings";
import { systemClock } from "../clock";
import { parseManifest } from "../manifest";
import { retrying } from "../retries";
import { asRollError } from "../roll-error";
import { handOn } from "../succession";
import { type NodeRequest, nodeRequest } from "./request";

/** The roller as a node of the cluster runs it: small, without the SDK, with a role of its own. */
async function surroundingsOf({ document, roleArn, manifest }: NodeRequest): Promise<Surroundings> {
  const { region, cluster } = parseManifest(JSON.parse(manifest));
  const instanceId = await metadata("meta-data/instance-id");
  const place = { region, dnsSuffix: await metadata("meta-data/services/domain") };
  const own = { ...place, credentials: instanceRole() };
  const calls = signedCalls({ ...place, credentials: assumedRole(own, roleArn, instanceId) });
  const cloud = fetchCloud(calls, region);
  const ssm = retrying(calls.systemsManager, systemClock, 4);
  return {
    connect: (reached) => ({
      cloud,
      store: parameterStore(cluster, ssm),
      channel: nodeCommands(ssm, systemClock, (nodeId) => instanceOf(cloud, reached, nodeId)),
    }),
    refreshes: () => {
      throw new Error("a node follows no instance refresh");
    },
    clock: systemClock,
    stdout: process.stdout,
    stderr: process.stderr,
    telling: brief,
    node: {
      instanceId,
      handOn: (ports, reached, successors) =>
        handOn(ports, successors, async (nodeId) => resume(ssm, document, await instanceOf(cloud, reached, nodeId))),
    },
  };
}

async function resume(ssm: SystemsManager, document: string, instanceId: string | undefined): Promise<void> {
  if (instanceId === undefined) throw new Error("it has no instance");
  await ssm.call("SendCommand", {
    DocumentName: document,
    InstanceIds: [instanceId],
    Parameters: { Action: ["resume"] },
  });
}

async function main(): Promise<number> {
  const request = nodeRequest(process.env);
  process.env.HOLDFAST_CLUSTER = request.manifest;
  const acts = rollActs(new CommandLine(await surroundingsOf(request), () => {}));
  return request.action === "recover" ? acts.recover(request.flags, request.node) : acts[request.action](request.flags);
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    const known = asRollError(error);
    process.stderr.write(`${errorText(known)}\n`);
    process.exitCode = exitCodeOfError(known);
  },
);
