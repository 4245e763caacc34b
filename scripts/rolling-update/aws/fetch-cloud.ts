import { type Cloud, CloudError } from "../cloud";
import { intercept } from "../intercept";
import { inChunks, NAMES_PER_CALL } from "./chunks";
import type { Parameters, QueryService, SignedCalls } from "./signed-calls";
import { entries, text, type Xml } from "./xml";
import { activity, group, hook, instance, networkInterface, templateVersion, volume } from "./xml-shapes";

/** The {@link Cloud} without the SDK: small enough for a document to carry it to a node. */
export function fetchCloud(calls: SignedCalls, region: string): Cloud {
  const autoScaling = (action: string, parameters: Parameters) => calls.query("autoscaling", action, parameters);
  const ec2 = (action: string, parameters: Parameters = {}) => calls.query("ec2", action, parameters);
  const onGroup = async (action: string, groupName: string, parameters: Parameters) => {
    await autoScaling(action, { AutoScalingGroupName: groupName, ...parameters });
  };

  /** By filter, since an id EC2 does not know yet would fail the whole call. */
  const described = <T>(ids: readonly string[], by: string, action: string, read: (page: Xml) => readonly T[]) =>
    inChunks(ids, (chunk) => everyPage(calls, "ec2", action, { Filter: [{ Name: by, Value: chunk }] }, read));

  const cloud: Cloud = {
    async identity() {
      return { accountId: text(await calls.query("sts", "GetCallerIdentity"), "Account"), region };
    },

    describeGroups: (names) =>
      inChunks(names, (chunk) => {
        const parameters = { AutoScalingGroupNames: chunk, MaxRecords: NAMES_PER_CALL };
        const read = (page: Xml) => entries(page, "AutoScalingGroups").map(group);
        return everyPage(calls, "autoscaling", "DescribeAutoScalingGroups", parameters, read);
      }),

    /** Newest first; the first page reaches back further than any step of a roll. */
    async describeActivities(groupName, sinceMs) {
      const parameters = { AutoScalingGroupName: groupName, MaxRecords: 100 };
      const page = await autoScaling("DescribeScalingActivities", parameters);
      return entries(page, "Activities")
        .map(activity)
        .filter(({ startedMs }) => startedMs >= sinceMs);
    },

    async describeHooks(groupName) {
      const page = await autoScaling("DescribeLifecycleHooks", { AutoScalingGroupName: groupName });
      return entries(page, "LifecycleHooks").map(hook);
    },

    describeInstances: (ids) =>
      described(ids, "instance-id", "DescribeInstances", (page) =>
        entries(page, "reservationSet").flatMap((reservation) => entries(reservation, "instancesSet").map(instance)),
      ),

    describeInterfaces: (ids) =>
      described(ids, "network-interface-id", "DescribeNetworkInterfaces", (page) =>
        entries(page, "networkInterfaceSet").map(networkInterface),
      ),

    describeVolumes: (ids) =>
      described(ids, "volume-id", "DescribeVolumes", (page) => entries(page, "volumeSet").map(volume)),

    async describeTemplate(id, version) {
      const page = await ec2("DescribeLaunchTemplateVersions", {
        LaunchTemplateId: id,
        LaunchTemplateVersion: [version],
      });
      const [found] = entries(page, "launchTemplateVersionSet");
      if (!found) throw new CloudError("describeTemplate", "NotFound", `template ${id} has no version ${version}`);
      return templateVersion(found);
    },

    async impairedZones() {
      const zones = entries(await ec2("DescribeAvailabilityZones"), "availabilityZoneInfo");
      return zones.filter((zone) => text(zone, "zoneState") !== "available").map((zone) => text(zone, "zoneName"));
    },

    async consoleOutput(instanceId) {
      const answer = await ec2("GetConsoleOutput", { InstanceId: instanceId });
      return Buffer.from(text(answer, "output"), "base64").toString("utf8");
    },

    firingAlarms: (names) =>
      everyPage(calls, "monitoring", "DescribeAlarms", { AlarmNames: names, StateValue: "ALARM" }, (page) =>
        [...entries(page, "MetricAlarms"), ...entries(page, "CompositeAlarms")].map((alarm) =>
          text(alarm, "AlarmName"),
        ),
      ),

    suspendLaunch: (groupName) => onGroup("SuspendProcesses", groupName, { ScalingProcesses: ["Launch"] }),
    resumeLaunch: (groupName) => onGroup("ResumeProcesses", groupName, { ScalingProcesses: ["Launch"] }),

    async terminate(instanceId, decrementDesired) {
      const parameters = { InstanceId: instanceId, ShouldDecrementDesiredCapacity: decrementDesired };
      await autoScaling("TerminateInstanceInAutoScalingGroup", parameters);
    },

    abandon: (groupName, hookName, instanceId) =>
      onGroup("CompleteLifecycleAction", groupName, {
        LifecycleHookName: hookName,
        InstanceId: instanceId,
        LifecycleActionResult: "ABANDON",
      }),

    heartbeat: (groupName, hookName, instanceId) =>
      onGroup("RecordLifecycleActionHeartbeat", groupName, { LifecycleHookName: hookName, InstanceId: instanceId }),

    resize: (groupName, { min, desired }) =>
      onGroup("UpdateAutoScalingGroup", groupName, { MinSize: min, DesiredCapacity: desired }),

    setTemplate: (groupName, { id, version }) =>
      onGroup("UpdateAutoScalingGroup", groupName, { LaunchTemplate: { LaunchTemplateId: id, Version: version } }),
  };

  return intercept(cloud, async (method, call) => {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof CloudError)) throw error;
      throw new CloudError(method, error.code, error.message, error.kind);
    }
  });
}

async function everyPage<T>(
  calls: SignedCalls,
  service: QueryService,
  action: string,
  parameters: Parameters,
  read: (page: Xml) => readonly T[],
): Promise<T[]> {
  const found: T[] = [];
  let NextToken: string | undefined;
  do {
    const page = await calls.query(service, action, { ...parameters, NextToken });
    found.push(...read(page));
    NextToken = text(page, "NextToken") || text(page, "nextToken") || undefined;
  } while (NextToken !== undefined);
  return found;
}
