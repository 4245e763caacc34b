import { type AwsCall, type FakeAws, type FakeAwsState, startAws, xmlError } from "./fake-aws";
import type { HttpAnswer } from "./http-server";
import { type FakeImds, type FakeImdsOptions, startImds } from "./imds";
import type { LoopVolume } from "./loop-volume";

export const INSTANCE_ID = "i-0a1b2c3d4e5f60718";
export const HOOK = "kafka-node-asg-hook";
const ZONE = "us-east-1a";

export interface NodeCloudOptions {
  readonly volume: Pick<LoopVolume, "volumeId" | "sizeGiB" | "appear">;
  /** "available", or the instance that holds the volume. @default "available" */
  readonly holder?: string;
  /** State of other instances by id; others are unknown to EC2. */
  readonly instances?: Readonly<Record<string, string>>;
  /** From AttachVolume to "attached". @default 0 */
  readonly attachMs?: number;
  /** @default "Pending:Wait" */
  readonly lifecycleState?: string;
  readonly aws?: Omit<FakeAwsState, "waitingHooks">;
  readonly imds?: FakeImdsOptions;
}

/** What EC2 and Auto Scaling do for one node: its volume, its instance and its launch hook, with their rules of refusal. */
export interface NodeCloud {
  readonly aws: FakeAws;
  readonly imds: FakeImds;
  /** Of the volume and the instance, by resource id. */
  readonly tags: Map<string, Map<string, string>>;
  /** Every value that was written, in order. */
  tagHistory(resourceId: string, key: string): string[];
  /** Calls that changed something. */
  readonly attachments: string[];
  lifecycleState: string;
  /** Completions of the hook that were accepted. */
  readonly effectiveCompletions: number;
  /** What a call is answered with, for an intercept that wants it nevertheless. */
  usually(action: string): (call: AwsCall) => HttpAnswer | "hang" | undefined;
  /** The holder lets go of the volume. */
  release(): void;
  /** For the agent's environment. */
  readonly environment: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

export async function startNodeCloud(options: NodeCloudOptions): Promise<NodeCloud> {
  const { volume, holder, instances = {}, attachMs = 0 } = options;
  const [aws, imds] = await Promise.all([startAws({ ...options.aws, waitingHooks: [HOOK] }), startImds(options.imds)]);
  const tags = new Map<string, Map<string, string>>();
  const history: [id: string, key: string, value: string][] = [];
  const attachments: string[] = [];
  let attachment = holder === undefined ? undefined : { instanceId: holder, since: 0 };

  const usual = new Map<string, (call: AwsCall) => HttpAnswer | undefined>();
  const answer = (action: string, handler: (call: AwsCall) => HttpAnswer | undefined) => {
    usual.set(action, handler);
    aws.intercept(action, handler);
  };
  let completions = 0;

  const cloud: NodeCloud = {
    aws,
    imds,
    tags,
    attachments,
    lifecycleState: options.lifecycleState ?? "Pending:Wait",
    tagHistory: (id, key) => history.filter(([of, name]) => of === id && name === key).map(([, , value]) => value),
    get effectiveCompletions() {
      return completions;
    },
    usually: (action) => usual.get(action) ?? (() => undefined),
    release: () => {
      attachment = undefined;
    },
    environment: { AWS_ENDPOINT_URL: aws.endpoint, AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.endpoint },
    close: async () => void (await Promise.all([aws.close(), imds.close()])),
  };

  answer("DescribeVolumes", ({ params }) => {
    if (params["VolumeId.1"] !== volume.volumeId) {
      return xmlError(400, "InvalidVolume.NotFound", `The volume '${params["VolumeId.1"]}' does not exist.`);
    }
    const state = attachment && Date.now() - attachment.since >= attachMs ? "attached" : "attaching";
    const attached = attachment
      ? `<item><volumeId>${volume.volumeId}</volumeId><instanceId>${attachment.instanceId}</instanceId>
         <device>/dev/sdf</device><status>${state}</status></item>`
      : "";
    const tagSet = [...(tags.get(volume.volumeId) ?? [])].map(
      ([key, value]) => `<item><key>${key}</key><value>${value}</value></item>`,
    );
    return xml(`<DescribeVolumesResponse><volumeSet><item><volumeId>${volume.volumeId}</volumeId><size>${volume.sizeGiB}</size>
      <snapshotId/><availabilityZone>${ZONE}</availabilityZone><status>${attachment ? "in-use" : "available"}</status>
      <attachmentSet>${attached}</attachmentSet><tagSet>${tagSet.join("")}</tagSet></item></volumeSet></DescribeVolumesResponse>`);
  });
  answer("AttachVolume", ({ params }) => {
    if (attachment) return xmlError(400, "VolumeInUse", `${volume.volumeId} is already attached to an instance`);
    attachment = { instanceId: String(params["InstanceId"]), since: Date.now() };
    attachments.push(attachment.instanceId);
    setTimeout(volume.appear, attachMs);
    return xml("<AttachVolumeResponse><status>attaching</status></AttachVolumeResponse>");
  });
  answer("DescribeInstances", ({ params }) => {
    const id = String(params["InstanceId.1"]);
    const state = instances[id];
    if (state === undefined)
      return xmlError(400, "InvalidInstanceID.NotFound", `The instance ID '${id}' does not exist`);
    return xml(`<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>${id}</instanceId>
      <instanceState><code>0</code><name>${state}</name></instanceState></item></instancesSet></item></reservationSet></DescribeInstancesResponse>`);
  });
  answer("CreateTags", ({ params }) => {
    const id = String(params["ResourceId.1"]);
    if (id !== volume.volumeId && id !== INSTANCE_ID)
      return xmlError(403, "UnauthorizedOperation", `not this node's: ${id}`);
    const value = String(params["Tag.1.Value"]);
    if ([...value].length > 256) return xmlError(400, "InvalidParameterValue", "Tag value exceeds the maximum length");
    history.push([id, String(params["Tag.1.Key"]), value]);
    tags.set(id, (tags.get(id) ?? new Map()).set(String(params["Tag.1.Key"]), value));
    return undefined;
  });
  answer("DescribeAutoScalingInstances", () =>
    xml(`<DescribeAutoScalingInstancesResponse><DescribeAutoScalingInstancesResult><AutoScalingInstances><member>
      <InstanceId>${INSTANCE_ID}</InstanceId><LifecycleState>${cloud.lifecycleState}</LifecycleState></member>
      </AutoScalingInstances></DescribeAutoScalingInstancesResult></DescribeAutoScalingInstancesResponse>`),
  );
  answer("CompleteLifecycleAction", (call) => {
    if (cloud.lifecycleState !== "Pending:Wait") return noActiveAction(call);
    completions += 1;
    cloud.lifecycleState = call.params["LifecycleActionResult"] === "CONTINUE" ? "InService" : "Terminating";
    return undefined;
  });
  return cloud;
}

const noActiveAction = ({ params }: AwsCall) =>
  xmlError(400, "ValidationError", `No active Lifecycle Action found with instance ID ${params["InstanceId"]}`);

const xml = (body: string): HttpAnswer => ({ status: 200, body });
