import {
  AutoScalingClient,
  CompleteLifecycleActionCommand,
  DescribeLifecycleHooksCommand,
  paginateDescribeAutoScalingGroups,
  paginateDescribeScalingActivities,
  RecordLifecycleActionHeartbeatCommand,
  ResumeProcessesCommand,
  SuspendProcessesCommand,
  TerminateInstanceInAutoScalingGroupCommand,
  UpdateAutoScalingGroupCommand,
} from "@aws-sdk/client-auto-scaling";
import { CloudWatchClient, paginateDescribeAlarms } from "@aws-sdk/client-cloudwatch";
import {
  DescribeAvailabilityZonesCommand,
  DescribeLaunchTemplateVersionsCommand,
  EC2Client,
  GetConsoleOutputCommand,
  paginateDescribeInstances,
  paginateDescribeNetworkInterfaces,
  paginateDescribeVolumes,
} from "@aws-sdk/client-ec2";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { fromTemporaryCredentials } from "@aws-sdk/credential-providers";
import { type Cloud, CloudError, type Group } from "../cloud";
import { intercept } from "../intercept";
import { ATTEMPT_TIMEOUT_MS, CALL_ATTEMPTS } from "../lock";
import { inChunks, NAMES_PER_CALL } from "./chunks";
import { activity, group, hook, instance, networkInterface, templateVersion, volume } from "./shapes";

export interface SdkOptions {
  readonly region: string;
  /** @default the endpoints of the region, or AWS_ENDPOINT_URL */
  readonly endpoint?: string;
  /** Role to assume with the default credentials. */
  readonly roleArn?: string;
}

// The SDK warns, in eight lines before the first answer, of versions that it will publish for Node.js 22: this program carries its own.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";

/** The settings every client of this program shares; a call must end before the lease that allowed it. */
export function clientSettings({ region, endpoint, roleArn }: SdkOptions) {
  return {
    region,
    retryMode: "adaptive",
    maxAttempts: CALL_ATTEMPTS,
    // Left to itself the SDK says that a request takes too long, and goes on waiting for it.
    requestHandler: {
      requestTimeout: ATTEMPT_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      socketTimeout: ATTEMPT_TIMEOUT_MS,
    },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(roleArn === undefined
      ? {}
      : {
          credentials: fromTemporaryCredentials({
            params: { RoleArn: roleArn, RoleSessionName: "holdfast-roll" },
            clientConfig: { region },
          }),
        }),
  };
}

/** The {@link Cloud} of the AWS SDK, with its default credential chain. */
export function sdkCloud(options: SdkOptions): Cloud {
  const settings = clientSettings(options);
  const autoScaling = new AutoScalingClient(settings);
  const ec2 = new EC2Client(settings);
  const sts = new STSClient(settings);
  const cloudWatch = new CloudWatchClient(settings);

  const cloud: Cloud = {
    async identity() {
      const { Account } = await sts.send(new GetCallerIdentityCommand({}));
      return { accountId: Account ?? "", region: await autoScaling.config.region() };
    },

    describeGroups: (names) =>
      inChunks(names, async (chunk) => {
        const found: Group[] = [];
        const input = { AutoScalingGroupNames: chunk, MaxRecords: NAMES_PER_CALL };
        for await (const page of paginateDescribeAutoScalingGroups({ client: autoScaling }, input)) {
          found.push(...(page.AutoScalingGroups ?? []).map(group));
        }
        return found;
      }),

    /** Newest first; the first page reaches back further than any step of a roll. */
    async describeActivities(groupName, sinceMs) {
      const input = { AutoScalingGroupName: groupName, MaxRecords: 100 };
      for await (const page of paginateDescribeScalingActivities({ client: autoScaling }, input)) {
        return (page.Activities ?? []).map(activity).filter(({ startedMs }) => startedMs >= sinceMs);
      }
      return [];
    },

    async describeHooks(groupName) {
      const { LifecycleHooks } = await autoScaling.send(
        new DescribeLifecycleHooksCommand({ AutoScalingGroupName: groupName }),
      );
      return (LifecycleHooks ?? []).map(hook);
    },

    /** By filter, since an id EC2 does not know yet would fail the whole call. */
    describeInstances: (ids) =>
      inChunks(ids, async (chunk) => {
        const found = [];
        const input = { Filters: [{ Name: "instance-id", Values: chunk }] };
        for await (const page of paginateDescribeInstances({ client: ec2 }, input)) {
          for (const reservation of page.Reservations ?? []) found.push(...(reservation.Instances ?? []).map(instance));
        }
        return found;
      }),

    describeInterfaces: (ids) =>
      inChunks(ids, async (chunk) => {
        const found = [];
        const input = { Filters: [{ Name: "network-interface-id", Values: chunk }] };
        for await (const page of paginateDescribeNetworkInterfaces({ client: ec2 }, input)) {
          found.push(...(page.NetworkInterfaces ?? []).map(networkInterface));
        }
        return found;
      }),

    describeVolumes: (ids) =>
      inChunks(ids, async (chunk) => {
        const found = [];
        const input = { Filters: [{ Name: "volume-id", Values: chunk }] };
        for await (const page of paginateDescribeVolumes({ client: ec2 }, input)) {
          found.push(...(page.Volumes ?? []).map(volume));
        }
        return found;
      }),

    async describeTemplate(id, version) {
      const { LaunchTemplateVersions } = await ec2.send(
        new DescribeLaunchTemplateVersionsCommand({ LaunchTemplateId: id, Versions: [version] }),
      );
      const [found] = LaunchTemplateVersions ?? [];
      if (!found) throw new CloudError("describeTemplate", "NotFound", `template ${id} has no version ${version}`);
      return templateVersion(found);
    },

    async impairedZones() {
      const { AvailabilityZones } = await ec2.send(new DescribeAvailabilityZonesCommand({}));
      return (AvailabilityZones ?? []).flatMap(({ ZoneName, State }) =>
        ZoneName === undefined || State === "available" ? [] : ZoneName,
      );
    },

    async consoleOutput(instanceId) {
      const { Output } = await ec2.send(new GetConsoleOutputCommand({ InstanceId: instanceId }));
      return Buffer.from(Output ?? "", "base64").toString("utf8");
    },

    async firingAlarms(names) {
      const firing: string[] = [];
      const input = { AlarmNames: [...names], StateValue: "ALARM" as const };
      for await (const page of paginateDescribeAlarms({ client: cloudWatch }, input)) {
        const alarms = [...(page.MetricAlarms ?? []), ...(page.CompositeAlarms ?? [])];
        firing.push(...alarms.flatMap(({ AlarmName }) => AlarmName ?? []));
      }
      return firing;
    },

    async suspendLaunch(groupName) {
      await autoScaling.send(
        new SuspendProcessesCommand({ AutoScalingGroupName: groupName, ScalingProcesses: ["Launch"] }),
      );
    },

    async resumeLaunch(groupName) {
      await autoScaling.send(
        new ResumeProcessesCommand({ AutoScalingGroupName: groupName, ScalingProcesses: ["Launch"] }),
      );
    },

    async terminate(instanceId, decrementDesired) {
      await autoScaling.send(
        new TerminateInstanceInAutoScalingGroupCommand({
          InstanceId: instanceId,
          ShouldDecrementDesiredCapacity: decrementDesired,
        }),
      );
    },

    async abandon(groupName, hookName, instanceId) {
      await autoScaling.send(
        new CompleteLifecycleActionCommand({
          AutoScalingGroupName: groupName,
          LifecycleHookName: hookName,
          InstanceId: instanceId,
          LifecycleActionResult: "ABANDON",
        }),
      );
    },

    async heartbeat(groupName, hookName, instanceId) {
      await autoScaling.send(
        new RecordLifecycleActionHeartbeatCommand({
          AutoScalingGroupName: groupName,
          LifecycleHookName: hookName,
          InstanceId: instanceId,
        }),
      );
    },

    async resize(groupName, { min, desired }) {
      await autoScaling.send(
        new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: groupName, MinSize: min, DesiredCapacity: desired }),
      );
    },

    async setTemplate(groupName, { id, version }) {
      await autoScaling.send(
        new UpdateAutoScalingGroupCommand({
          AutoScalingGroupName: groupName,
          LaunchTemplate: { LaunchTemplateId: id, Version: String(version) },
        }),
      );
    },
  };

  return intercept(cloud, async (method, call) => {
    try {
      return await call();
    } catch (error) {
      throw asCloudError(method, error);
    }
  });
}

/** While a network is joined or left: errno(3), and what Node.js makes of a name that nobody resolves. */
const NO_NETWORK = /^(EHOST|ENET|EPIPE|EADDRNOTAVAIL|ENOTFOUND)/;

/** The SDK's error with AWS's own code; errors of the network carry theirs in `code`. */
export function asCloudError(action: string, error: unknown): unknown {
  if (error instanceof CloudError || !(error instanceof Error)) return error;
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  const known = code === "Error" ? error.name : code;
  const isAwsAtFault = "$fault" in error && error.$fault === "server";
  return isAwsAtFault || NO_NETWORK.test(code)
    ? new CloudError(action, known, error.message, "transient")
    : new CloudError(action, known, error.message);
}
