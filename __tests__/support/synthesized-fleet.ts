import { WorkerFleet } from "../../modules/worker-fleet/worker-fleet";
import { fleetSettings } from "./fleet-settings";
import { awsStack, SynthesizedStack } from "./synthesized-stack";
import { fileIn, unpacked } from "./user-data";

/** What a document says beside the least, as {@link fleetSettings} takes it. */
export type FleetOverrides = Parameters<typeof fleetSettings>[0];

/** A fleet of the deployment "test" in this stack. */
export function fleetIn(stack: ReturnType<typeof awsStack>, overrides: FleetOverrides = {}): WorkerFleet {
  return new WorkerFleet(stack, "fleet", {
    deployment: "test",
    region: "us-west-2",
    settings: fleetSettings(overrides),
    tags: { Owner: "data" },
  });
}

/** Synthesizes {@link fleetIn} in a stack of its own. */
export function synthesizedFleet(overrides: FleetOverrides = {}): SynthesizedStack {
  const stack = awsStack();
  fleetIn(stack, overrides);
  return new SynthesizedStack(stack);
}

/** What the agents of a fleet's one pool read. */
export const workerConfig = (stack: SynthesizedStack) =>
  JSON.parse(fileIn(unpacked(stack.only("aws_launch_template").user_data), "/etc/holdfast/worker.json"));
