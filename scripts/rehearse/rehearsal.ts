import type { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import type { EC2Client } from "@aws-sdk/client-ec2";
import type { Terraform } from "../emulator/terraform";
import type { Manifest, ManifestNode } from "../rolling-update/manifest";
import type { SettingsInput } from "../rolling-update/settings";
import type { Written } from "./deployment/deployment";
import type { WatchedFleet } from "./fleet/watched-fleet";
import type { RehearsalEvent } from "./scenario/event";
import type { Stage } from "./stage/stage";
import type { Check } from "./story/happening";
import type { Story } from "./story/story";
import type { Watch, WatchedNode } from "./watch";

/** A deployment that runs: what events work with. */
export interface Rehearsal {
  readonly story: Story;
  readonly stage: Stage;
  readonly watch: Watch;
  readonly region: string;
  readonly ec2: EC2Client;
  readonly autoScaling: AutoScalingClient;
  readonly terraform: Terraform;
  readonly written: Written;
  readonly clusters: readonly Manifest[];
  /** What workers dial to, with the jobs that they run; undefined where no worker runs. */
  readonly fleet: WatchedFleet | undefined;
  /** Of the rolling update. */
  readonly settings: SettingsInput;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** An event as it happens to what it happens to. */
export interface Occasion {
  readonly event: RehearsalEvent;
  /** Of events that name one. */
  readonly node: WatchedNode;
  /** When it began, since the rehearsal's beginning. */
  readonly fromMs: number;
}

/** Lets an event happen, and says what it showed. @throws CannotHappen */
export type Act = (rehearsal: Rehearsal, occasion: Occasion) => Promise<readonly Check[]>;

/** An event that these machines, or this deployment, cannot have. */
export class CannotHappen extends Error {
  public override readonly name = "CannotHappen";
}

/** A node of a cluster as its manifest has it; undefined for an instance of a pool. */
export function manifestNodeOf({ clusters }: Rehearsal, { group }: WatchedNode): ManifestNode | undefined {
  return clusters.flatMap(({ nodes }) => nodes).find((node) => node.group === group);
}

/** What stands for a node now. @throws CannotHappen where nothing does. */
export function machineOf({ stage }: Rehearsal, { name, instance }: WatchedNode) {
  const machine = instance === undefined ? undefined : stage.machineOf(instance);
  if (machine === undefined || instance === undefined) throw new CannotHappen(`${name} has no machine now`);
  return { machine, instance };
}
