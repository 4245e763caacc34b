import { validationError } from "../../aws-error";
import type { Correction } from "../../correction";
import type { Faults } from "../../faults";
import type { Regions } from "../../regions";
import { textAt, treesAt } from "../../tree";
import { activityTree, instanceDetailsTree } from "../shapes";
import { page, texts } from "./paging";

/** Instances of groups, and what the groups have done with them. */
export function memberActions(regions: Regions, faults: Faults): Correction {
  return {
    service: "autoscaling",
    replies: {
      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingInstances.html */
      DescribeAutoScalingInstances: async ({ region, parameters }) => {
        const wanted = texts(parameters["InstanceIds"]);
        const members = [...regions.of(region).groups.groups.values()].flatMap(({ view: { current } }) =>
          current.instances
            .filter(({ id }) => wanted.length === 0 || wanted.includes(id))
            .map((member) => instanceDetailsTree(current.name, member)),
        );
        return page("AutoScalingInstances", members, parameters, 50, 50);
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeScalingActivities.html */
      DescribeScalingActivities: async ({ region, parameters }) => {
        const name = textAt(parameters, "AutoScalingGroupName");
        const { groups } = regions.of(region);
        const wanted = texts(parameters["ActivityIds"]);
        const since = treesAt(parameters, "Filters").find((filter) => filter["Name"] === "StartTimeLowerBound");
        const sinceMs = Date.parse(texts(since?.["Values"])[0] ?? "") || 0;
        const activities = (name === undefined ? [...groups.groups.values()] : [groups.group(name)]).flatMap(
          ({ view, activities }) =>
            (activities.seen(faults.staleMs())?.list ?? [])
              .filter(({ id, startedMs }) => startedMs >= sinceMs && (wanted.length === 0 || wanted.includes(id)))
              .map((activity) => activityTree(view.current, activity)),
        );
        return page("Activities", activities, parameters, 100, 100);
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_TerminateInstanceInAutoScalingGroup.html */
      TerminateInstanceInAutoScalingGroup: async ({ region, parameters }) => {
        const { groups } = regions.of(region);
        const instanceId = textAt(parameters, "InstanceId") ?? "";
        const group = groups.groupOf(instanceId);
        groups.terminate(instanceId, textAt(parameters, "ShouldDecrementDesiredCapacity") === "true");
        const [activity] = group.activities.current.list;
        return activity ? { Activity: activityTree(group.view.current, activity) } : {};
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceProtection.html */
      SetInstanceProtection: async ({ region, parameters }) => {
        const { groups } = regions.of(region);
        const { instances } = groups.group(textAt(parameters, "AutoScalingGroupName") ?? "").view.current;
        const ids = texts(parameters["InstanceIds"]);
        for (const id of ids) {
          const member = instances.find((one) => one.id === id);
          if (member?.lifecycle.startsWith("Terminating") !== false) {
            throw validationError(
              `The instance ${id} is not in InService or EnteringStandby or Standby or Pending or Pending:Wait.`,
            );
          }
        }
        for (const id of ids) groups.protect(id, textAt(parameters, "ProtectedFromScaleIn") === "true");
        return {};
      },

      /** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceHealth.html */
      SetInstanceHealth: async ({ region, parameters }) => {
        const { groups } = regions.of(region);
        const instanceId = textAt(parameters, "InstanceId") ?? "";
        groups.groupOf(instanceId);
        if (textAt(parameters, "HealthStatus") === "Unhealthy") groups.markUnhealthy(instanceId);
        return {};
      },
    },
  };
}
