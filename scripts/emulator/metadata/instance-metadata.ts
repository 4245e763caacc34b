import { awsCalls } from "../aws-calls";
import type { AwsOfMachines, InstanceFacts } from "../machines";
import { textAt, treeAt } from "../tree";
import { instanceLeaves, type Leaves, type RoleCredentials } from "./leaves";

/** Guests read leaf by leaf: what they read within it is of one moment. */
const KEPT_MS = 500;

/** EC2 renews credentials well before they expire. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html */
const CREDENTIALS_SECONDS = 6 * 3_600;
const RENEWED_MS = 3_600_000;

/** What the metadata service tells the instances of an emulated AWS, by their private address. */
export function instanceMetadata(
  aws: AwsOfMachines,
  architecture: "x86_64" | "arm64",
): (address: string) => Promise<Leaves | undefined> {
  const credentials = roleCredentials(aws);
  const kept = new Map<string, { readonly leaves: Promise<Leaves | undefined>; readonly untilMs: number }>();

  const read = async (privateIp: string): Promise<Leaves | undefined> => {
    const facts = await aws.facts({ privateIp });
    if (facts === undefined) return undefined;
    const { id, zone, notice, tags, tellsTags, userData, targetLifecycleState, ...instance } = facts;
    const { spotInterruptionAt, rebalanceRecommendedAt } = notice;
    return instanceLeaves({
      ...instance,
      instanceId: id,
      availabilityZone: zone,
      architecture,
      ...(facts.profile && { credentials: await credentials(facts, facts.profile) }),
      ...(userData && { userData }),
      ...(tellsTags && { tags }),
      ...(targetLifecycleState && { targetLifecycleState }),
      ...(spotInterruptionAt && { spotInterruption: { action: "terminate" as const, time: spotInterruptionAt } }),
      ...(rebalanceRecommendedAt && { rebalanceRecommendedAt }),
    });
  };

  return (address) => {
    const known = kept.get(address);
    if (known !== undefined && performance.now() < known.untilMs) return known.leaves;
    const leaves = read(address);
    kept.set(address, { leaves, untilMs: performance.now() + KEPT_MS });
    return leaves;
  };
}

/** Sessions of the instances' roles, one at a time each. */
function roleCredentials({ url }: AwsOfMachines) {
  const call = awsCalls(url);
  const sessions = new Map<string, RoleCredentials>();
  return async ({ id, region }: InstanceFacts, { role, roleArn }: NonNullable<InstanceFacts["profile"]>) => {
    const session = sessions.get(id);
    if (session?.role === role && session.expiration.getTime() - Date.now() > RENEWED_MS) return session;
    const answer = await call("sts", region, "AssumeRole", {
      RoleArn: roleArn,
      RoleSessionName: id,
      DurationSeconds: String(CREDENTIALS_SECONDS),
    });
    const given = treeAt(answer, "Credentials");
    const credentials: RoleCredentials = {
      role,
      accessKeyId: textAt(given, "AccessKeyId") ?? "",
      secretAccessKey: textAt(given, "SecretAccessKey") ?? "",
      sessionToken: textAt(given, "SessionToken") ?? "",
      expiration: new Date(textAt(given, "Expiration") ?? ""),
    };
    sessions.set(id, credentials);
    return credentials;
  };
}
