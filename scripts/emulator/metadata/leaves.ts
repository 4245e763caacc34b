/** What the metadata service tells of an instance, by path below the version: "meta-data/instance-id". */
export type Leaves = ReadonlyMap<string, string | Buffer>;

/** Credentials of an instance's role, as STS gives them. */
export interface RoleCredentials {
  readonly role: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}

/** An instance as its metadata service describes it. */
export interface InstanceMetadata {
  readonly instanceId: string;
  readonly imageId: string;
  readonly instanceType: string;
  readonly architecture: "x86_64" | "arm64";
  readonly accountId: string;
  readonly region: string;
  readonly availabilityZone: string;
  readonly privateIp: string;
  readonly macAddress: string;
  readonly hostname: string;
  /** @default - the instance has no role */
  readonly credentials?: RoleCredentials;
  /** Unpacked from base64. @default - none */
  readonly userData?: Buffer;
  /** Told only where the launch template says so (`instance_metadata_tags`). @default - not told */
  readonly tags?: Readonly<Record<string, string>>;
  /** "InService", "Terminated", …: where Auto Scaling is taking it. @default - member of no group */
  readonly targetLifecycleState?: string;
  /** Announced about two minutes ahead. @default - none */
  readonly spotInterruption?: { readonly action: "hibernate" | "stop" | "terminate"; readonly time: Date };
  /** When a raised risk of interruption was announced. @default - none */
  readonly rebalanceRecommendedAt?: Date;
}

/**
 * The leaves that an instance of EC2 has, as far as its cloud-init and programs ask for them.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-categories.html
 */
export function instanceLeaves(instance: InstanceMetadata): Leaves {
  const { instanceId, region, availabilityZone, privateIp, macAddress, hostname, tags = {} } = instance;
  const { credentials, spotInterruption, rebalanceRecommendedAt } = instance;
  const mac = `meta-data/network/interfaces/macs/${macAddress}`;
  const leaves: Record<string, string | Buffer | undefined> = {
    "meta-data/ami-id": instance.imageId,
    "meta-data/instance-id": instanceId,
    "meta-data/instance-life-cycle": spotInterruption || rebalanceRecommendedAt ? "spot" : "on-demand",
    "meta-data/instance-type": instance.instanceType,
    "meta-data/hostname": hostname,
    "meta-data/local-hostname": hostname,
    "meta-data/local-ipv4": privateIp,
    "meta-data/mac": macAddress,
    [`${mac}/device-number`]: "0",
    [`${mac}/local-ipv4s`]: privateIp,
    [`${mac}/mac`]: macAddress,
    "meta-data/placement/availability-zone": availabilityZone,
    "meta-data/placement/region": region,
    "meta-data/services/domain": "amazonaws.com",
    "meta-data/services/partition": "aws",
    "meta-data/autoscaling/target-lifecycle-state": instance.targetLifecycleState,
    "meta-data/spot/instance-action":
      spotInterruption && json({ ...spotInterruption, time: iso(spotInterruption.time) }),
    "meta-data/events/recommendations/rebalance":
      rebalanceRecommendedAt && json({ noticeTime: iso(rebalanceRecommendedAt) }),
    "dynamic/instance-identity/document": json({
      accountId: instance.accountId,
      architecture: instance.architecture,
      availabilityZone,
      imageId: instance.imageId,
      instanceId,
      instanceType: instance.instanceType,
      privateIp,
      region,
      version: "2017-09-30",
    }),
    "user-data": instance.userData,
  };
  if (credentials) {
    leaves[`meta-data/iam/security-credentials/${credentials.role}`] = credentialDocument(credentials);
  }
  for (const [key, value] of Object.entries(tags)) leaves[`meta-data/tags/instance/${key}`] = value;
  return new Map(Object.entries(leaves).filter((leaf): leaf is [string, string | Buffer] => leaf[1] !== undefined));
}

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html */
function credentialDocument({ accessKeyId, secretAccessKey, sessionToken, expiration }: RoleCredentials): string {
  return json({
    Code: "Success",
    Type: "AWS-HMAC",
    LastUpdated: iso(new Date()),
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    Token: sessionToken,
    Expiration: iso(expiration),
  });
}

const json = (value: unknown) => JSON.stringify(value, null, 2);

/** To the second, as EC2 writes times. */
const iso = (time: Date) => time.toISOString().replace(/\.\d+/, "");
