import { TerraformVariable } from "cdktf";
import {
  WorkerSecurityGroup,
  type WorkerSecurityGroupProps,
} from "../../../modules/worker-access/worker-security-group";
import { type Attributes, type Synthesized, synthesize, synthesizedResources } from "../../support/synthesize";

const DATABASES: Partial<WorkerSecurityGroupProps> = {
  postgres: { cidrs: ["10.20.0.0/16", "10.30.0.0/16"] },
  starRocks: { securityGroupIds: ["sg-0aaaaaaaaaaaaaaaa"] },
  mysql: { cidrs: ["fd00:ec2::/64"] },
  egress: [
    {
      name: "kafka",
      description: "Kafka brokers",
      port: { from: 9092, to: 9094 },
      to: { prefixListIds: ["pl-0123456789abcdef0"] },
    },
  ],
};
const PRIVATE_LINK = {
  endpointSecurityGroupId: "sg-0eeeeeeeeeeeeeeee",
  egressRules: [
    { name: "endpoints", description: "Endpoints", port: 443, to: { securityGroupIds: ["sg-0eeeeeeeeeeeeeeee"] } },
    { name: "s3", description: "S3", port: 443, to: { prefixListIds: ["pl-6da54004"] } },
  ],
};

function synthesizeGroup(props: Partial<WorkerSecurityGroupProps> = {}): Synthesized {
  return synthesize((scope) => {
    new WorkerSecurityGroup(scope, "workers", { name: "production", vpcId: "vpc-0123456789abcdef0", ...props });
  });
}

const egressOf = (stack: Synthesized): Attributes[] =>
  synthesizedResources(stack, "aws_vpc_security_group_egress_rule").map(({ attributes }) => attributes);
const addresses = (stack: Synthesized): string[] =>
  synthesizedResources(stack, "aws_vpc_security_group_egress_rule").map(({ address }) => address);

/** Ingress rules of the workers' group, and not those by which others admit the workers. */
function ingressOf(stack: Synthesized): Attributes[] {
  const workers = `\${${synthesizedResources(stack, "aws_security_group")[0]?.address}.id}`;
  return synthesizedResources(stack, "aws_vpc_security_group_ingress_rule")
    .map(({ attributes }) => attributes)
    .filter((rule) => rule["security_group_id"] === workers);
}

describe("R9: workers only dial out, and only where they are told to", () => {
  test.each([
    ["over the internet", {}],
    ["through endpoints", { privateLink: PRIVATE_LINK }],
  ])("R9: %s there is no ingress rule, neither as resource nor within the group", (_, mode) => {
    const stack = synthesizeGroup({ ...DATABASES, ...mode });
    expect(ingressOf(stack)).toEqual([]);
    for (const { attributes } of synthesizedResources(stack, "aws_security_group")) {
      expect(Object.keys(attributes)).not.toEqual(expect.arrayContaining(["ingress"]));
      expect(Object.keys(attributes)).not.toEqual(expect.arrayContaining(["egress"]));
    }
  });

  test("R9: through endpoints no egress rule reaches 0.0.0.0/0 or ::/0", () => {
    const rules = egressOf(synthesizeGroup({ ...DATABASES, privateLink: PRIVATE_LINK }));
    expect(rules.map(({ cidr_ipv4, cidr_ipv6 }) => cidr_ipv4 ?? cidr_ipv6)).not.toContainEqual(
      expect.stringMatching(/\/0$/),
    );
    expect(rules.filter(({ from_port }) => from_port === 443)).toEqual([
      expect.objectContaining({ referenced_security_group_id: "sg-0eeeeeeeeeeeeeeee" }),
      expect.objectContaining({ prefix_list_id: "pl-6da54004" }),
    ]);
  });

  test.each(["0.0.0.0/0", "::/0"])("R9: through endpoints a rule to %s is refused", (cidr) => {
    const egress = [{ name: "sink", description: "A sink", port: 8443, to: { cidrs: ["10.0.0.0/8", cidr] } }];
    expect(() => synthesizeGroup({ privateLink: PRIVATE_LINK, egress })).toThrow(
      `egress "sink" reaches the internet (${cidr}), which privateLink rules out: name narrower cidrs`,
    );
  });

  test("R9: through endpoints a block that only Terraform knows is checked by Terraform", () => {
    const stack = synthesize((scope) => {
      const cidrs = new TerraformVariable(scope, "postgres_cidrs", { type: "list(string)" }).listValue;
      const props = { name: "production", vpcId: "vpc-0123456789abcdef0", privateLink: PRIVATE_LINK };
      new WorkerSecurityGroup(scope, "workers", { ...props, postgres: { cidrs } });
    });
    expect(egressOf(stack)).toContainEqual(
      expect.objectContaining({
        from_port: 5432,
        for_each: "${toset(var.postgres_cidrs)}",
        cidr_ipv4: '${strcontains(each.value, ":") ? null : each.value}',
        cidr_ipv6: '${strcontains(each.value, ":") ? each.value : null}',
        lifecycle: {
          precondition: [expect.objectContaining({ condition: '${!endswith(each.value, "/0")}' })],
        },
      }),
    );
  });

  test("R9: every egress rule has a description, one protocol, one port range and one destination", () => {
    const rules = egressOf(synthesizeGroup(DATABASES));
    expect(rules).toHaveLength(8);
    for (const rule of rules) {
      expect(rule["description"]).toEqual(expect.stringMatching(/\S/));
      expect(rule["ip_protocol"]).toBe("tcp");
      expect(Number(rule["from_port"])).toBeLessThanOrEqual(Number(rule["to_port"]));
      const destinations = ["cidr_ipv4", "cidr_ipv6", "prefix_list_id", "referenced_security_group_id"];
      expect(destinations.filter((destination) => destination in rule)).toHaveLength(1);
    }
  });
});

test("defect 10: the ports of control plane, PostgreSQL, StarRocks frontend and backend, and MySQL are open, no other", () => {
  const rules = egressOf(synthesizeGroup({ ...DATABASES, egress: [] }));
  expect([...new Set(rules.map(({ from_port }) => from_port))].sort()).toEqual([3306, 443, 5432, 8030, 8040, 9030]);
  expect(rules.every(({ from_port, to_port }) => from_port === to_port)).toBe(true);
});

test("defect 10: with endpoints, HTTPS to anywhere is not even expressible", () => {
  expect(() => synthesizeGroup({ privateLink: PRIVATE_LINK, httpsCidrs: ["0.0.0.0/0"] })).toThrow(
    "httpsCidrs (0.0.0.0/0) contradicts privateLink, where HTTPS goes to endpoints: drop one",
  );
});

test("a port outside the list, such as gRPC on 50051, is one entry", () => {
  const grpc = {
    name: "grpc",
    description: "gRPC to the control plane",
    port: 50051,
    to: { cidrs: ["198.51.100.0/24"] },
  };
  expect(egressOf(synthesizeGroup({ egress: [grpc] }))).toContainEqual(
    expect.objectContaining({ from_port: 50051, to_port: 50051, cidr_ipv4: "198.51.100.0/24" }),
  );
});

test("reordering lists and rules, or adding to them, moves no rule to another address", () => {
  const rule = (name: string) => ({
    name,
    description: name,
    port: 9000,
    to: { cidrs: ["10.1.0.0/16", "10.2.0.0/16"] },
  });
  const before = addresses(synthesizeGroup({ egress: [rule("a"), rule("b")] }));
  const reordered = [rule("c"), rule("b"), rule("a")].map(({ to, ...rest }) => ({
    ...rest,
    to: { cidrs: ["10.9.0.0/16", ...[...to.cidrs].reverse()] },
  }));
  expect(addresses(synthesizeGroup({ egress: reordered }))).toEqual(expect.arrayContaining(before));
});

test("endpoints are told to admit the workers, on 443 and by security group", () => {
  const stack = synthesizeGroup({ privateLink: PRIVATE_LINK });
  expect(
    synthesizedResources(stack, "aws_vpc_security_group_ingress_rule").map(({ attributes }) => attributes),
  ).toEqual([
    expect.objectContaining({
      security_group_id: "sg-0eeeeeeeeeeeeeeee",
      referenced_security_group_id: `\${${synthesizedResources(stack, "aws_security_group")[0]?.address}.id}`,
      from_port: 443,
      to_port: 443,
    }),
  ]);
});

test("ssh, when asked for, is one rule for one block", () => {
  expect(ingressOf(synthesizeGroup({ ssh: { cidr: "10.20.5.0/28" } }))).toEqual([
    expect.objectContaining({ from_port: 22, to_port: 22, ip_protocol: "tcp", cidr_ipv4: "10.20.5.0/28" }),
  ]);
});

const sink = (changes: object): Partial<WorkerSecurityGroupProps> => ({
  egress: [{ name: "sink", description: "A sink", port: 8443, to: { cidrs: ["10.0.0.0/8"] }, ...changes }],
});
test.each([
  [sink({ port: 0 }), 'egress "sink" port (0) must be a whole number from 1 to 65535'],
  [sink({ port: 70000 }), 'egress "sink" port (70000) must be a whole number from 1 to 65535'],
  [sink({ port: { from: 9, to: 8 } }), 'egress "sink" port range: from (9) should be <= to (8)'],
  [sink({ to: {} }), 'egress "sink" goes nowhere: give cidrs, prefixListIds or securityGroupIds'],
  [sink({ to: { cidrs: ["10.1.2.3/8"] } }), 'egress "sink" cidr (10.1.2.3/8) has host bits set: write 10.0.0.0/8'],
  [
    sink({ to: { cidrs: ["10.0.0.0/33"] } }),
    'egress "sink" cidr (10.0.0.0/33) is not a CIDR block such as 10.20.0.0/16',
  ],
  [
    sink({ to: { cidrs: ["db.example.org"] } }),
    'egress "sink" cidr (db.example.org) is not a CIDR block such as 10.20.0.0/16',
  ],
  [sink({ to: { cidrs: ["10.0.0.0/8", "10.0.0.0/8"] } }), 'egress "sink" names 10_0_0_0_8 twice'],
  [sink({ description: "naïve" }), 'egress "sink" description (naïve) must have 1 to 255 letters'],
  [sink({ name: "https" }), 'egress "https" is given twice: rename one'],
  [{ ssh: { cidr: "0.0.0.0/0" } }, "ssh.cidr (0.0.0.0/0) opens port 22 to the internet: name the bastion's block"],
])("refuses %j", (props, message) => {
  expect(() => synthesizeGroup(props)).toThrow(message);
});
