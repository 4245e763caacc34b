import type { Cloud } from "../cloud";
import type { Manifest } from "../manifest";

/** The instance that stands for the node at the moment; undefined when it has none. */
export async function instanceOf(cloud: Cloud, { nodes }: Manifest, nodeId: string): Promise<string | undefined> {
  const node = nodes.find(({ id }) => id === nodeId);
  const [group] = node === undefined ? [] : await cloud.describeGroups([node.group]);
  return group?.instances.filter(({ lifecycle }) => !lifecycle.startsWith("Terminat")).at(-1)?.id;
}
