import type { WorkerPool } from "./worker-pool";

/** What a user of a pool asks for by name; strings are tokens. */
export interface PoolOutputs {
  readonly auto_scaling_group_name: string;
  readonly auto_scaling_group_arn: string;
  readonly role_name: string;
  readonly role_arn: string;
  readonly instance_profile_arn: string;
  /** By architecture; the first is the group's own. */
  readonly launch_templates: Readonly<Record<string, { readonly id: string; readonly version: string }>>;
  readonly dashboard_name: string;
  readonly session_command: string;
}

export function poolOutputs(pool: WorkerPool, region: string): PoolOutputs {
  const { role, instances, dashboardName } = pool;
  return {
    auto_scaling_group_name: instances.group.groupName,
    auto_scaling_group_arn: instances.group.groupArn,
    role_name: role.roleName,
    role_arn: role.roleArn,
    instance_profile_arn: role.instanceProfileArn,
    launch_templates: Object.fromEntries(
      [...instances.templates].map(([architecture, { templateId, latestVersion }]) => [
        architecture,
        { id: templateId, version: latestVersion },
      ]),
    ),
    dashboard_name: dashboardName,
    session_command: sessionCommand(pool.name, region),
  };
}

/** Opens a shell on the first running instance of a group, as it stands, in any POSIX shell. */
function sessionCommand(groupName: string, region: string): string {
  const filters = `Name=tag:aws:autoscaling:groupName,Values=${groupName} Name=instance-state-name,Values=running`;
  const query = "--query 'Reservations[0].Instances[0].InstanceId' --output text";
  const instance = `aws ec2 describe-instances --region ${region} --filters ${filters} ${query}`;
  return `aws ssm start-session --region ${region} --target "$(${instance})"`;
}
