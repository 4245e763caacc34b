import type { Tree } from "../tree";

/** What the answers say of a group beside what the rules know. */
export interface GroupRecord {
  readonly arn: string;
  readonly createdMs: number;
  settings: Tree;
  /** By key, as they were given. */
  readonly tags: Map<string, Tree>;
  readonly metrics: Set<string>;
  /** By hook: whom it notifies. */
  readonly notifications: Map<string, Tree>;
  vpcZoneIdentifier: string;
  /** As it was put; it stays empty. */
  warmPool?: Tree;
}

/** By region and name. */
export type GroupRecords = Map<string, GroupRecord>;

export function recordKey(region: string, name: string): string {
  return `${region}/${name}`;
}
