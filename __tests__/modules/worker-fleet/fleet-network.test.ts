import { KEY_ARN, SMALL_POOL, TOKEN_ARN } from "../../support/fleet-settings";
import { synthesizedFleet } from "../../support/synthesized-fleet";
import type { SynthesizedStack } from "../../support/synthesized-stack";

describe("private link", () => {
  const control_plane = {
    url: "https://control.example.com",
    token: { secrets_manager_arn: TOKEN_ARN },
    private_link: { service_name: "com.amazonaws.vpce.us-west-2.vpce-svc-0a1b" },
  };

  test("every pool's needs open endpoints, and nothing opens the internet", () => {
    const backlog = { source: "sqs" as const, queue_arn: "arn:aws:sqs:us-west-2:111122223333:mail" };
    const stack = synthesizedFleet({ control_plane, pools: { cdc: SMALL_POOL, mail: { ...SMALL_POOL, backlog } } });
    const services = Object.values(stack.resources("aws_vpc_endpoint")).map(({ service_name }) => service_name);

    expect(services).toEqual(
      expect.arrayContaining(["s3", "sqs", "secretsmanager", "autoscaling"].map((s) => `com.amazonaws.us-west-2.${s}`)),
    );
    expect(JSON.stringify(stack.resources("aws_vpc_security_group_egress_rule"))).not.toContain('/0"');
  });

  test("a network that is made has no gateway then", () => {
    const network = { create: { cidr_block: "10.9.0.0/20", availability_zones: ["us-west-2a", "us-west-2b"] } };
    expect(synthesizedFleet({ control_plane, network }).addresses.join()).not.toMatch(/aws_(internet|nat)_gateway/);
    expect(synthesizedFleet({ network }).addresses.join()).toMatch(/aws_nat_gateway/);
  });

  test("endpoints that the VPC has are used and not made a second time", () => {
    const services = (stack: SynthesizedStack) =>
      Object.values(stack.resources("aws_vpc_endpoint")).map(({ service_name }) =>
        String(service_name).split(".").at(-1),
      );
    const network = { vpc_id: "vpc-1", subnet_ids: ["subnet-1"], route_table_ids: ["rtb-1"] };
    const existing_endpoints = [{ service: "logs" as const, security_group_id: "sg-0a1b" }, { service: "s3" as const }];

    const all = synthesizedFleet({ control_plane, network });
    const some = synthesizedFleet({
      control_plane,
      network: { vpc_id: "vpc-1", subnet_ids: ["subnet-1"], existing_endpoints },
    });

    expect(services(all)).toEqual(expect.arrayContaining(["logs", "s3"]));
    expect(services(some)).toEqual(services(all).filter((service) => service !== "logs" && service !== "s3"));
    expect(
      Object.values(some.resources("aws_vpc_security_group_egress_rule")).map(
        ({ referenced_security_group_id }) => referenced_security_group_id,
      ),
    ).toContain("sg-0a1b");
  });
});

test("a network that is made records its connections where flow_logs asks for it", () => {
  const create = { cidr_block: "10.40.0.0/20", availability_zones: ["us-west-2a"] };
  const iam = { path: "/teams/backup/", permissions_boundary_arn: "arn:aws:iam::111122223333:policy/boundary" };

  const silent = synthesizedFleet({ network: { create } });
  const recorded = synthesizedFleet({
    network: { create: { ...create, flow_logs: { traffic: "REJECT", retention_days: 7 } } },
    encryption: { log_kms_key_arn: KEY_ARN },
    iam,
  });

  expect(silent.resources("aws_flow_log")).toEqual({});
  expect(recorded.only("aws_flow_log")).toMatchObject({ traffic_type: "REJECT" });
  expect(Object.values(recorded.resources("aws_cloudwatch_log_group"))).toContainEqual(
    expect.objectContaining({ name: "/aws/vpc/ez-cdc-test/flow-logs", retention_in_days: 7, kms_key_id: KEY_ARN }),
  );
  expect(Object.values(recorded.resources("aws_iam_role"))).toContainEqual(
    expect.objectContaining({
      name: "ez-cdc-test-flow-logs",
      path: iam.path,
      permissions_boundary: iam.permissions_boundary_arn,
    }),
  );
});
