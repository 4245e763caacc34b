import { Token } from "cdktf";
import { DATA_DEVICE, type DataVolumeProps, ROOT_DEVICE, type StatefulNodeProps } from "./node-props";

/** Every data volume of a node by name, `data` first, as far as they are known before Terraform runs. */
export function volumesOf({
  dataVolume,
  additionalVolumes = {},
}: Pick<StatefulNodeProps, "dataVolume" | "additionalVolumes">): Readonly<Record<string, DataVolumeProps>> {
  return { data: dataVolume, ...(Token.isUnresolved(additionalVolumes) ? {} : (additionalVolumes as object)) };
}

/** Refuses what cannot work on one node; what is known to Terraform only is not looked at. */
export function checkNode(props: StatefulNodeProps): void {
  const refuse = (message: string): never => {
    throw new Error(`node ${props.nodeId}: ${message}`);
  };
  const { launchHookTimeoutSeconds: hook } = props;
  if (hook !== undefined && !Token.isUnresolved(hook) && (hook < 30 || hook > 7_200)) {
    refuse(`launchHookTimeoutSeconds (${hook}) must be from 30 to 7200`);
  }
  const { securityGroupIds: groups } = props;
  if (!Token.isUnresolved(groups) && groups.length === 0) {
    // AWS gives an interface without any the default group of its VPC: every plan would take it away again.
    refuse("securityGroupIds is empty: name at least one security group");
  }
  if (!Token.isUnresolved(props.additionalVolumes)) {
    for (const name of Object.keys(props.additionalVolumes ?? {})) {
      if (name === "data" || !/^[A-Za-z0-9-]+$/.test(name)) {
        refuse(`additionalVolumes has the name ${name}, which should be letters, digits and dashes, and not data`);
      }
    }
  }
  const volumes = Object.entries(volumesOf(props));
  for (const [field, value] of [
    ["deviceName", "deviceName"],
    ["mountPath", "mountPath"],
  ] as const) {
    const owners = new Map<string, string>();
    for (const [name, volume] of volumes) {
      const text = volume[value] ?? DATA_DEVICE;
      if (Token.isUnresolved(text)) continue;
      const other = owners.get(text);
      if (other !== undefined) refuse(`volumes ${other} and ${name} have the same ${field} (${text})`);
      owners.set(text, name);
    }
  }
  const root = props.rootVolume?.deviceName ?? ROOT_DEVICE;
  for (const [name, { mountPath, iops, throughput, type, deviceName = DATA_DEVICE }] of volumes) {
    if (!Token.isUnresolved(root) && deviceName === root) {
      refuse(`deviceName of volume ${name} (${deviceName}) is that of the root volume`);
    }
    if (!Token.isUnresolved(mountPath) && (!/^\/[^\s]+$/.test(mountPath) || mountPath.endsWith("/"))) {
      refuse(`mountPath of volume ${name} (${mountPath}) must be an absolute path without blanks`);
    }
    if (throughput !== undefined && ![throughput, type].some((value) => Token.isUnresolved(value)) && type !== "gp3") {
      refuse(`throughput of volume ${name} (${throughput}) is for gp3 volumes, its type is ${type}`);
    }
    if (
      iops !== undefined &&
      ![iops, type].some((value) => Token.isUnresolved(value)) &&
      !["gp3", "io1", "io2"].includes(type)
    ) {
      refuse(`iops of volume ${name} (${iops}) are for gp3, io1 and io2 volumes, its type is ${type}`);
    }
    if (!Token.isUnresolved(type) && iops === undefined && ["io1", "io2"].includes(type)) {
      refuse(`iops of volume ${name} must be given: its type ${type} has no number of its own`);
    }
  }
}
