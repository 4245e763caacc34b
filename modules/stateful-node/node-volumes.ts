import { createHash } from "node:crypto";
import type { DataAwsSubnet } from "@cdktf/provider-aws/lib/data-aws-subnet";
import { EbsVolume, type EbsVolumeConfig } from "@cdktf/provider-aws/lib/ebs-volume";
import { Fn, type IResolvable, Op, TerraformLocal, type TerraformResourceLifecycle, Token } from "cdktf";
import { Construct } from "constructs";
import { hcl } from "../publish/expressions";
import { nodeNames } from "./node-names";
import { DATA_DEVICE, type DataVolumeProps, type StatefulNodeProps } from "./node-props";
import { volumesOf } from "./node-rules";

/** Tags that nodes put on their own volumes and that Terraform leaves alone. */
const AGENT_TAG = "holdfast:initialised";
const VOLUME_NAME = Token.asString(hcl("each.key"));

/** A volume of a node, or several, as conditions of other resources see them. */
interface PlacedVolumes {
  /** In messages, with its verb. */
  readonly name: string;
  /** Terraform expressions. */
  readonly zone: string;
  readonly inZone: string;
  readonly encrypted: string;
  readonly key: string;
  /** As a token; undefined where no key is asked for. */
  readonly underKey: string | IResolvable | undefined;
}

/**
 * The data volumes of a node: `node_data`, which every node has, and `node_data_additional`, one for each name.
 *
 * A volume stays where its data are, and under the key that encrypts them: that its zone is not the subnet's, or its key another than
 * the one asked for, is for the group's preconditions to say, not for Terraform to correct by replacing it.
 */
export class NodeVolumes extends Construct {
  public readonly dataVolumeId: string;
  /** Terraform expression of a map from each volume's name to its `id` and its `type`. */
  public readonly byName: string;
  /** What the agent reads: the volumes by name, and what is made of them. */
  public readonly configuration: { readonly volumes: unknown; readonly data: unknown };
  readonly #data: EbsVolume;
  readonly #additional: EbsVolume | undefined;
  /** Condition that is true where the data volume is under the key that is asked for, if one is. */
  readonly #underKey: string | undefined;
  /** Terraform expression of the additional volumes as they are asked for, by name. */
  #wanted = "{}";
  /** Terraform expression that is true where every additional volume has what it cannot do without. */
  #whole = "true";
  /** What no two volumes may have in common, of each. */
  readonly #places: Readonly<Record<string, string[]>>;

  public constructor(scope: Construct, id: string, props: StatefulNodeProps, subnet: DataAwsSubnet) {
    super(scope, id);
    const { dataVolume, additionalVolumes } = props;
    const names = nodeNames(props.clusterName, props.nodeId);
    const shared = { availabilityZone: subnet.availabilityZone, encrypted: true, ...retention(props) };

    this.#data = new EbsVolume(this, "node_data", {
      ...shared,
      ...settings(dataVolume),
      tags: tagged(dataVolume.tags, names.volume),
    });
    this.dataVolumeId = this.#data.id;
    this.#underKey =
      dataVolume.kmsKeyArn === undefined
        ? undefined
        : Token.asString(
            Op.or(Op.eq(dataVolume.kmsKeyArn, Token.nullValue()), Op.eq(dataVolume.kmsKeyArn, this.#data.kmsKeyId)),
          );
    const first = { volumeId: this.#data.id, deviceName: dataVolume.deviceName ?? DATA_DEVICE };
    const layout = layoutOf("data", dataVolume);
    const data = `{ data = { id = ${this.#data.fqn}.id, type = ${this.#data.fqn}.type } }`;
    if (additionalVolumes === undefined) {
      this.byName = data;
      this.configuration = { volumes: { data: first }, data: [layout] };
      this.#places = {};
      return;
    }
    const local = new TerraformLocal(this, "additional_volumes", additionalVolumes);
    const wanted = `local.${local.friendlyUniqueId}`;
    this.#wanted = wanted;
    this.#additional = new EbsVolume(this, "node_data_additional", {
      ...shared,
      size: Token.asNumber(hcl("each.value.sizeGiB")),
      type: Token.asString(hcl("each.value.type")),
      iops: Token.asNumber(hcl("try(each.value.iops, null)")),
      throughput: Token.asNumber(hcl("try(each.value.throughput, null)")),
      kmsKeyId: Token.asString(hcl("try(each.value.kmsKeyArn, null)")),
      tags: Token.asStringMap(
        Fn.merge([hcl("try(each.value.tags, {})"), { Name: `${names.volume}-${VOLUME_NAME}` }]),
      ) as Record<string, string>,
    });
    this.#additional.addOverride("for_each", hcl(wanted));
    const { fqn } = this.#additional;
    const deviceName = `try(coalesce(v.deviceName), "${DATA_DEVICE}")`;
    const ofEach = (own: string, expression: string) =>
      Token.asList(Fn.concat([[own], hcl(`[for v in ${wanted} : ${expression}]`) as unknown as string[]]));
    const given = ["sizeGiB", "type", "mountPath", "format", "ownerUser", "ownerGroup"].map(
      (key) => `v.${key} != null`,
    );
    this.#whole = `alltrue([for v in ${wanted} : ${given.join(" && ")}])`;
    this.#places = {
      "device name": ofEach(first.deviceName, deviceName),
      "mount path": ofEach(dataVolume.mountPath, 'try(coalesce(v.mountPath), "")'),
    };
    this.byName = `merge(${data}, { for name, volume in ${fqn} : name => { id = volume.id, type = ${wanted}[name].type } })`;
    this.configuration = {
      volumes: Fn.merge([
        { data: first },
        hcl(`{ for name, v in ${wanted} : name => { volumeId = ${fqn}[name].id, deviceName = ${deviceName} } }`),
      ]),
      data: Fn.concat([
        [layout],
        hcl(
          `[for name, v in ${wanted} : { layout = "filesystem", volume = name, format = v.format, path = v.mountPath, ` +
            "options = try(coalesce(v.mountOptions, []), []), user = v.ownerUser, group = v.ownerGroup }]",
        ) as unknown as string[],
      ]),
    };
  }

  /** What must hold of every volume before an instance may be launched in the zone of `subnet`. */
  public preconditions(node: string, subnet: DataAwsSubnet, subnetId: string) {
    const zone = `${subnet.fqn}.availability_zone`;
    const conditions = (volumes: PlacedVolumes) => [
      {
        condition: hcl(volumes.inZone),
        error_message:
          `Node ${node}: ${volumes.name} in \${${volumes.zone}}, subnet ${subnetId} in \${${zone}}. A volume cannot leave its zone: give a ` +
          "subnet of that zone, or copy the data through a snapshot.",
      },
      {
        condition: hcl(volumes.encrypted),
        error_message:
          `Node ${node}: ${volumes.name} not encrypted, and no volume can be afterwards: copy the data through an encrypted snapshot, ` +
          "and import the volume that is made of it.",
      },
      ...(volumes.underKey === undefined
        ? []
        : [
            {
              condition: volumes.underKey,
              error_message:
                `Node ${node}: ${volumes.name} encrypted under \${${volumes.key}}, not under kms_key_arn. A volume keeps its key: give ` +
                "that one or none, or copy the data through a snapshot under the other key and import the volume that is made of it.",
            },
          ]),
    ];
    const { fqn } = this.#data;
    const first = conditions({
      name: "volume data is",
      zone: `${fqn}.availability_zone`,
      inZone: `${fqn}.availability_zone == ${zone}`,
      encrypted: `${fqn}.encrypted`,
      key: `${fqn}.kms_key_id`,
      underKey: this.#underKey,
    });
    if (this.#additional === undefined) return first;
    const further = this.#additional.fqn;
    const zones = `values(${further})[*].availability_zone`;
    return [
      ...first,
      ...conditions({
        name: "additional volumes are",
        zone: `join(", ", distinct(${zones}))`,
        inZone: `alltrue([for own in ${zones} : own == ${zone}])`,
        encrypted: `alltrue(values(${further})[*].encrypted)`,
        key: `join(", ", distinct(values(${further})[*].kms_key_id))`,
        underKey: hcl(
          `alltrue([for name, v in ${this.#wanted} : try(v.kmsKeyArn, null) == null || try(v.kmsKeyArn, null) == ${further}[name].kms_key_id])`,
        ),
      }),
      {
        condition: hcl(this.#whole),
        error_message:
          `Node ${node}: each of its additional volumes must have a size, a type, a mount path, a filesystem and an owner: from the ` +
          "node, or from the volume of that name that every node has.",
      },
      ...Object.entries(this.#places).map(([field, all]) => ({
        condition: Token.asString(Op.eq(Fn.lengthOf(Fn.distinct(all)), Fn.lengthOf(all))),
        error_message: `Node ${node}: two of its data volumes have the same ${field}: ${Fn.join(", ", all)}.`,
      })),
    ];
  }
}

/** As {@link NodeVolumes.configuration} will be, with ids that take as much room, compressed too; undefined where volumes are known to Terraform only. */
export function expectedVolumes(props: StatefulNodeProps): NodeVolumes["configuration"] | undefined {
  if (Token.isUnresolved(props.additionalVolumes)) return undefined;
  const volumes = Object.entries(volumesOf(props));
  return {
    volumes: Object.fromEntries(
      volumes.map(([name, { deviceName = DATA_DEVICE }]) => [name, { volumeId: idLike(name), deviceName }]),
    ),
    data: volumes.map(([name, volume]) => layoutOf(name, volume)),
  };
}

const idLike = (name: string) => `vol-0${createHash("sha256").update(name).digest("hex").slice(0, 16)}`;

function retention({ preventDestroy = true, finalSnapshot }: StatefulNodeProps) {
  const lifecycle: TerraformResourceLifecycle = {
    ignoreChanges: [
      ...["availability_zone", "encrypted", "kms_key_id"],
      ...[`tags["${AGENT_TAG}"]`, `tags_all["${AGENT_TAG}"]`],
    ],
    ...(preventDestroy ? { preventDestroy } : {}),
  };
  return { lifecycle, ...(finalSnapshot === undefined ? {} : { finalSnapshot }) };
}

function settings(
  volume: DataVolumeProps,
): Pick<EbsVolumeConfig, "size" | "type" | "iops" | "throughput" | "kmsKeyId"> {
  return {
    size: volume.sizeGiB,
    type: volume.type,
    ...(volume.iops === undefined ? {} : { iops: volume.iops }),
    ...(volume.throughput === undefined ? {} : { throughput: volume.throughput }),
    ...(volume.kmsKeyArn === undefined ? {} : { kmsKeyId: volume.kmsKeyArn }),
  };
}

function tagged(tags: DataVolumeProps["tags"], name: string): Record<string, string> {
  return tags === undefined
    ? { Name: name }
    : (Token.asStringMap(Fn.merge([tags, { Name: name }]) as IResolvable) as Record<string, string>);
}

/** As the agent takes it. */
function layoutOf(name: string, volume: DataVolumeProps) {
  return {
    layout: "filesystem",
    volume: name,
    format: volume.format,
    path: volume.mountPath,
    options: volume.mountOptions ?? [],
    user: volume.ownerUser,
    group: volume.ownerGroup,
  };
}
