import { API_CALLS, LEAST_CALLS } from "./api-calls";

/** The part of synthesized Terraform JSON that is summarized. */
export interface TerraformJson {
  readonly resource?: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;
  readonly data?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface StackSummary {
  readonly name: string;
  /** Type to how many of it. */
  readonly resources: Readonly<Record<string, number>>;
  readonly dataSources: Readonly<Record<string, number>>;
  /**
   * Estimated AWS API calls: of a first apply, and of a later plan that changes nothing. Each resource counts as what
   * one of its type was measured to cost ({@link API_CALLS}).
   */
  readonly apiCalls: { readonly create: number; readonly read: number };
  readonly userData: readonly UserDataSize[];
}

export interface UserDataSize {
  /** Name in AWS of the launch template, or the prefix of it. */
  readonly launchTemplate: string;
  /** Bytes before base64, as EC2 counts them. */
  readonly bytes: number;
  /** False where Terraform compresses a part that only it knows: `bytes` is then what is known already. */
  readonly complete: boolean;
}

/** What EC2 takes. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html */
export const USER_DATA_LIMIT_BYTES = 16_384;

export function summarizeStack(name: string, { resource = {}, data = {} }: TerraformJson): StackSummary {
  const resources = countOf(resource);
  const dataSources = countOf(data);
  return {
    name,
    resources,
    dataSources,
    apiCalls: {
      create: total(resources, (type) => (API_CALLS[type] ?? LEAST_CALLS).create) + readsOf(dataSources, "data."),
      read: readsOf(resources, "") + readsOf(dataSources, "data."),
    },
    userData: Object.values(resource["aws_launch_template"] ?? {})
      .filter((template) => typeof template["user_data"] === "string")
      .map((template) => sizeOf(String(template["name"] ?? template["name_prefix"]), String(template["user_data"]))),
  };
}

function countOf(elements: Readonly<Record<string, object>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(elements).map(([type, named]) => [type, Object.keys(named).length]));
}

function readsOf(counts: Readonly<Record<string, number>>, prefix: string): number {
  return total(counts, (type) => (API_CALLS[prefix + type] ?? LEAST_CALLS).read);
}

function total(counts: Readonly<Record<string, number>>, callsOf: (type: string) => number): number {
  return Object.entries(counts).reduce((sum, [type, count]) => sum + count * callsOf(type), 0);
}

/** Base64 as text, which a Terraform expression may follow. */
function sizeOf(launchTemplate: string, userData: string): UserDataSize {
  const [known = "", ...expressions] = userData.split("${");
  return { launchTemplate, bytes: Buffer.from(known, "base64").length, complete: expressions.length === 0 };
}
