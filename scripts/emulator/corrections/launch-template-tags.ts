import type { Correction } from "../correction";
import { mapTreesAt, type Tree, treeAt, treesAt, without } from "../tree";

/**
 * The tags of a launch template are its own; its data holds those of what it launches, and knows no resource type
 * `launch-template`. moto lists the former among the latter.
 *
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LaunchTemplateTagSpecificationRequest.html
 */
export function launchTemplateTags(): Correction {
  return {
    service: "ec2",
    answers: {
      DescribeLaunchTemplateVersions: (result) => mapTreesAt(result, "launchTemplateVersionSet", withoutOwnTags),
    },
  };
}

function withoutOwnTags(version: Tree): Tree {
  const data = treeAt(version, "launchTemplateData");
  const all = treesAt(data, "tagSpecificationSet");
  const launched = all.filter(({ resourceType }) => resourceType !== "launch-template");
  if (launched.length === all.length) {
    return version;
  }
  const rest = without(data, "tagSpecificationSet");
  return {
    ...version,
    launchTemplateData: launched.length === 0 ? rest : { ...rest, tagSpecificationSet: launched },
  };
}
