import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import { VpcSecurityGroupIngressRule } from "@cdktf/provider-aws/lib/vpc-security-group-ingress-rule";
import { Token } from "cdktf";
import { Construct } from "constructs";
import { parseCidr } from "../worker-network/cidr";
import { addEgressRule, type Destinations, type EgressRule } from "./egress-rule";

/** The endpoints through which workers without internet reach AWS and the control plane; a `PrivateLink` is one. */
export interface PrivateEgress {
  /** Security group of the endpoints, told to admit the workers. */
  readonly endpointSecurityGroupId: string;
  /** HTTPS to the endpoints, and to S3 through its prefix list. */
  readonly egressRules: readonly EgressRule[];
}

export interface WorkerSecurityGroupProps {
  /** Prefix of the group's name, and its Name tag. */
  readonly name: string;
  readonly vpcId: string;
  /**
   * Endpoints in place of the internet: HTTPS goes to them alone, and no rule may reach 0.0.0.0/0 or ::/0.
   * @default - HTTPS to `httpsCidrs`
   */
  readonly privateLink?: PrivateEgress;
  /** Where HTTPS may go: the control plane and the public endpoints of AWS. @default ["0.0.0.0/0"] */
  readonly httpsCidrs?: readonly string[];
  /** PostgreSQL, 5432. @default - none */
  readonly postgres?: Destinations;
  /** StarRocks: frontend and backend HTTP (8030, 8040), and queries (9030). @default - none */
  readonly starRocks?: Destinations;
  /** MySQL, 3306. @default - none */
  readonly mysql?: Destinations;
  /** Whatever else the jobs reach. @default - none */
  readonly egress?: readonly EgressRule[];
  /** Opens port 22 to one block; unsafe, Session Manager needs no port. @default - no ingress at all */
  readonly ssh?: { readonly cidr: string };
  /** @default - none */
  readonly tags?: Readonly<Record<string, string>>;
}

/** Ports of the databases that workers know by name. */
const DATABASES = {
  postgres: [{ name: "postgres", description: "PostgreSQL", port: 5432 }],
  starRocks: [
    { name: "starrocks_fe_http", description: "StarRocks frontend HTTP: stream load entry", port: 8030 },
    { name: "starrocks_be_http", description: "StarRocks backend HTTP: stream load data", port: 8040 },
    { name: "starrocks_query", description: "StarRocks frontend SQL (MySQL protocol)", port: 9030 },
  ],
  mysql: [{ name: "mysql", description: "MySQL", port: 3306 }],
} as const;

/**
 * The security group of workers, who only dial out: no ingress, and egress rule by rule.
 *
 * DNS through the VPC resolver, instance metadata and the Amazon time service are not subject to security groups, so no rule
 * names them.
 *
 * @throws Error naming the rule for a repeated name, a bad port or block, and a way to the internet beside `privateLink`.
 */
export class WorkerSecurityGroup extends Construct {
  public readonly securityGroupId: string;
  public readonly securityGroupArn: string;

  public constructor(scope: Construct, id: string, props: WorkerSecurityGroupProps) {
    super(scope, id);
    const rules = egressRules(props);
    const group = new SecurityGroup(this, "group", {
      namePrefix: `${props.name}-`,
      description: "Workers: no ingress, egress rule by rule",
      vpcId: props.vpcId,
      tags: { ...props.tags, Name: props.name },
      lifecycle: { createBeforeDestroy: true },
    });
    for (const rule of rules) addEgressRule(this, group.id, rule, props.privateLink ? "forbidden" : "allowed");
    if (props.privateLink) this.admitAtEndpoints(group.id, props.name, props.privateLink);
    if (props.ssh) this.admitSsh(group.id, props.ssh.cidr);
    this.securityGroupId = group.id;
    this.securityGroupArn = group.arn;
  }

  private admitAtEndpoints(workers: string, name: string, { endpointSecurityGroupId }: PrivateEgress): void {
    new VpcSecurityGroupIngressRule(this, "endpoint_ingress", {
      securityGroupId: endpointSecurityGroupId,
      description: `HTTPS from workers of ${name}`,
      ipProtocol: "tcp",
      fromPort: 443,
      toPort: 443,
      referencedSecurityGroupId: workers,
    });
  }

  private admitSsh(workers: string, cidr: string): void {
    const concrete = !Token.isUnresolved(cidr);
    const { family, prefixLength } = concrete ? parseCidr("ssh.cidr", cidr) : { family: 4, prefixLength: undefined };
    if (prefixLength === 0)
      throw new Error(`ssh.cidr (${cidr}) opens port 22 to the internet: name the bastion's block`);
    new VpcSecurityGroupIngressRule(this, "ssh_ingress", {
      securityGroupId: workers,
      description: "SSH, asked for",
      ipProtocol: "tcp",
      fromPort: 22,
      toPort: 22,
      ...(family === 6 ? { cidrIpv6: cidr } : { cidrIpv4: cidr }),
    });
  }
}

function egressRules(props: WorkerSecurityGroupProps): EgressRule[] {
  const { privateLink, httpsCidrs } = props;
  if (privateLink && httpsCidrs) {
    throw new Error(
      `httpsCidrs (${httpsCidrs.join(", ")}) contradicts privateLink, where HTTPS goes to endpoints: drop one`,
    );
  }
  const rules: EgressRule[] = [
    ...(privateLink ? privateLink.egressRules : [publicHttps(httpsCidrs ?? ["0.0.0.0/0"])]),
    ...(["postgres", "starRocks", "mysql"] as const).flatMap((database) => databaseRules(database, props[database])),
    ...(props.egress ?? []),
  ];
  const repeated = rules.find(({ name }, i) => rules.findIndex((other) => other.name === name) !== i);
  if (repeated) throw new Error(`egress "${repeated.name}" is given twice: rename one`);
  return rules;
}

function publicHttps(cidrs: readonly string[]): EgressRule {
  return { name: "https", description: "HTTPS to the control plane and AWS APIs", port: 443, to: { cidrs } };
}

function databaseRules(database: keyof typeof DATABASES, to: Destinations | undefined): EgressRule[] {
  return to ? DATABASES[database].map((rule) => ({ ...rule, to })) : [];
}
