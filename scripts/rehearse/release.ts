import {
  DescribeAutoScalingGroupsCommand,
  type LaunchTemplateSpecification,
  UpdateAutoScalingGroupCommand,
} from "@aws-sdk/client-auto-scaling";
import {
  CreateLaunchTemplateVersionCommand,
  DescribeLaunchTemplateVersionsCommand,
  type RequestLaunchTemplateData,
} from "@aws-sdk/client-ec2";
import type { Rehearsal } from "./rehearsal";

/** A launch template at one version. */
export interface Released {
  readonly id: string;
  readonly version: number;
}

/** On the instances of a release that was rehearsed: its number. */
const RELEASE_TAG = "holdfast:rehearsed-release";

/** What a group launches now, as its next release begins from. */
export type Releases = ReadonlyMap<string, RequestLaunchTemplateData>;

/** What each group's launch templates say now, by template. */
export async function currentReleases(rehearsal: Rehearsal, groups: readonly string[]): Promise<Releases> {
  const releases = new Map<string, RequestLaunchTemplateData>();
  for (const group of groups) {
    for (const { LaunchTemplateId = "", Version = "$Default" } of templatesOf(await describeGroup(rehearsal, group))) {
      releases.set(LaunchTemplateId, await templateData(rehearsal, LaunchTemplateId, Version));
    }
  }
  return releases;
}

/**
 * Gives every group a new release that differs from `releases` in a tag alone, as an apply would: a new version of its launch
 * templates, which the group then names.
 *
 * @returns by group, the template that it launches from now
 */
export async function release(
  rehearsal: Rehearsal,
  groups: readonly string[],
  releases: Releases,
): Promise<ReadonlyMap<string, Released>> {
  const { ec2, autoScaling } = rehearsal;
  const made = new Map<string, Released>();
  const versionOf = async (specification: LaunchTemplateSpecification): Promise<LaunchTemplateSpecification> => {
    const { LaunchTemplateId = "" } = specification;
    const known = made.get(LaunchTemplateId);
    if (known) return { LaunchTemplateId, Version: String(known.version) };
    const data = releases.get(LaunchTemplateId) ?? {};
    const { LaunchTemplateVersion } = await ec2.send(
      new CreateLaunchTemplateVersionCommand({ LaunchTemplateId, LaunchTemplateData: tagged(data) }),
    );
    const version = LaunchTemplateVersion?.VersionNumber ?? 0;
    made.set(LaunchTemplateId, { id: LaunchTemplateId, version });
    return { LaunchTemplateId, Version: String(version) };
  };

  const byGroup = new Map<string, Released>();
  for (const AutoScalingGroupName of groups) {
    const { LaunchTemplate, MixedInstancesPolicy } = await describeGroup(rehearsal, AutoScalingGroupName);
    if (LaunchTemplate) {
      const next = await versionOf(LaunchTemplate);
      await autoScaling.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName, LaunchTemplate: next }));
      byGroup.set(AutoScalingGroupName, made.get(next.LaunchTemplateId ?? "") as Released);
      continue;
    }
    const { LaunchTemplateSpecification, Overrides = [] } = MixedInstancesPolicy?.LaunchTemplate ?? {};
    const first = LaunchTemplateSpecification && (await versionOf(LaunchTemplateSpecification));
    const overrides = [];
    for (const override of Overrides) {
      const own = override.LaunchTemplateSpecification;
      overrides.push({ ...override, ...(own && { LaunchTemplateSpecification: await versionOf(own) }) });
    }
    await autoScaling.send(
      new UpdateAutoScalingGroupCommand({
        AutoScalingGroupName,
        MixedInstancesPolicy: {
          ...MixedInstancesPolicy,
          LaunchTemplate: { LaunchTemplateSpecification: first, Overrides: overrides },
        },
      }),
    );
  }
  return byGroup;
}

async function describeGroup({ autoScaling }: Rehearsal, name: string) {
  const answer = await autoScaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }));
  const [group] = answer.AutoScalingGroups ?? [];
  if (group === undefined) throw new Error(`group ${name} does not exist`);
  return group;
}

function templatesOf({
  LaunchTemplate,
  MixedInstancesPolicy,
}: Awaited<ReturnType<typeof describeGroup>>): readonly LaunchTemplateSpecification[] {
  const { LaunchTemplateSpecification, Overrides = [] } = MixedInstancesPolicy?.LaunchTemplate ?? {};
  const own = Overrides.map((override) => override.LaunchTemplateSpecification);
  return [LaunchTemplate, LaunchTemplateSpecification, ...own].flatMap((specification) => specification ?? []);
}

/** A version's data, as another version may be made of them: what only answers hold is left out. */
async function templateData(
  { ec2 }: Rehearsal,
  LaunchTemplateId: string,
  version: string,
): Promise<RequestLaunchTemplateData> {
  const { LaunchTemplateVersions } = await ec2.send(
    new DescribeLaunchTemplateVersionsCommand({ LaunchTemplateId, Versions: [version] }),
  );
  const { MetadataOptions, ...data } = LaunchTemplateVersions?.[0]?.LaunchTemplateData ?? {};
  const { State: _state, ...options } = MetadataOptions ?? {};
  return { ...data, ...(MetadataOptions && { MetadataOptions: options }) } as RequestLaunchTemplateData;
}

function tagged(data: RequestLaunchTemplateData): RequestLaunchTemplateData {
  const others = (data.TagSpecifications ?? []).filter(({ ResourceType }) => ResourceType !== "instance");
  const own = data.TagSpecifications?.find(({ ResourceType }) => ResourceType === "instance")?.Tags ?? [];
  const Tags = [...own.filter(({ Key }) => Key !== RELEASE_TAG), { Key: RELEASE_TAG, Value: String(Date.now()) }];
  return { ...data, TagSpecifications: [...others, { ResourceType: "instance", Tags }] };
}
