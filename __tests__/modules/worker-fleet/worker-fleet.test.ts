import { WorkerFleet } from "../../../modules/worker-fleet/worker-fleet";
import { fleetSettings, KEY_ARN, SMALL_POOL, TOKEN_ARN } from "../../support/fleet-settings";
import { decide, policiesOfRole, SIMULATED } from "../../support/iam-policy";
import { awsStack, SynthesizedStack } from "../../support/synthesized-stack";
import { fileIn, RELEASE_KEY, unpacked } from "../../support/user-data";

type Overrides = Parameters<typeof fleetSettings>[0];

function fleetIn(stack: ReturnType<typeof awsStack>, overrides: Overrides = {}): WorkerFleet {
  return new WorkerFleet(stack, "fleet", {
    deployment: "test",
    region: "us-west-2",
    settings: fleetSettings(overrides),
    tags: { Owner: "data" },
  });
}

function synthesized(overrides: Overrides = {}): SynthesizedStack {
  const stack = awsStack();
  fleetIn(stack, overrides);
  return new SynthesizedStack(stack);
}

const workerConfig = (stack: SynthesizedStack) =>
  JSON.parse(fileIn(unpacked(stack.only("aws_launch_template").user_data), "/etc/holdfast/worker.json"));

const pools = (...names: string[]) => ({ pools: Object.fromEntries(names.map((name) => [name, SMALL_POOL])) });

describe("pools", () => {
  test.each([1, 3, 7])("R1: %d pools are as many groups, templates and scaling sets", (count) => {
    const names = ["docs", "calendars", "sites", "mail", "backup", "restore", "export"].slice(0, count);
    const stack = synthesized(pools(...names));
    const policies = Object.values(stack.resources("aws_autoscaling_policy")).map(({ name }) => name);

    expect(Object.keys(stack.resources("aws_autoscaling_group"))).toHaveLength(count);
    expect(Object.keys(stack.resources("aws_launch_template"))).toHaveLength(count);
    expect(policies.sort()).toEqual(
      names.flatMap((name) => [`ez-cdc-test-${name}-scale-in`, `ez-cdc-test-${name}-scale-out`]).sort(),
    );
  });

  test("R1: a pool that comes, goes or moves changes no address of another", () => {
    const { addresses } = synthesized(pools("docs", "mail"));

    expect(synthesized(pools("docs", "mail", "sites")).addresses).toEqual(expect.arrayContaining(addresses));
    expect(addresses).toEqual(expect.arrayContaining(synthesized(pools("mail")).addresses));
    expect(synthesized(pools("mail", "docs")).addresses).toEqual(addresses);
  });

  test("R1: nor anything else of another pool", () => {
    const groupsOf = (stack: SynthesizedStack) => stack.resources("aws_autoscaling_group");

    expect(groupsOf(synthesized(pools("sites", "mail", "docs")))).toMatchObject(
      groupsOf(synthesized(pools("docs", "mail"))),
    );
  });

  test("R1: a pool may bear the name of a part of the fleet", () => {
    expect(Object.keys(synthesized(pools("logs", "network", "pools")).resources("aws_autoscaling_group"))).toHaveLength(
      3,
    );
  });

  test("a name that AWS does not take is refused", () => {
    expect(() =>
      synthesized({ product: "a-very-long-product-1", ...pools("a-very-long-name-of-a-pool-0123") }),
    ).not.toThrow();
    const stack = awsStack();
    expect(
      () =>
        new WorkerFleet(stack, "fleet", {
          deployment: "a-deployment-with-a-rather-long-name-0123",
          region: "us-west-2",
          settings: fleetSettings({ product: "a-very-long-product-1", ...pools("a-very-long-pool") }),
        }),
    ).toThrow("IAM admits 64");
  });
});

describe("what boots", () => {
  test("R5: whatever user data says, its template's version is what the group names", () => {
    const before = synthesized();
    const after = synthesized({ pools: { cdc: { ...SMALL_POOL, slots: 6 } } });

    expect(after.only("aws_launch_template").user_data).not.toBe(before.only("aws_launch_template").user_data);
    expect(after.only("aws_autoscaling_group")).toEqual(before.only("aws_autoscaling_group"));
    expect(after.only("aws_autoscaling_group").launch_template.version).toMatch(/\.latest_version\}$/);
  });

  test.each([
    [{ instance_types: ["c6i.xlarge", "t3.medium"] }, 3],
    [{ instance_types: ["c6i.xlarge", "t3.medium"], slots: 7 }, 7],
  ])("agent and scaling know the same slots of %j: %d", (pool, slots) => {
    const stack = synthesized({ pools: { cdc: { ...SMALL_POOL, ...pool } } });
    const config = workerConfig(stack);
    const alarms = Object.values(stack.resources("aws_cloudwatch_metric_alarm"));
    const scaleIn = alarms.find(({ alarm_name }) => alarm_name.endsWith("-scale-in"));

    expect(config.slots).toBe(slots);
    expect(JSON.stringify(scaleIn)).toContain(`1.2 * ${slots}`);
  });

  test("R7: agent and group agree on the hooks and on the deadline", () => {
    const stack = synthesized({
      pools: {
        cdc: {
          ...SMALL_POOL,
          drain: { mode: "finish", deadline_seconds: 86_400 },
          hooks: { launch_timeout_seconds: 900 },
        },
      },
    });
    const config = workerConfig(stack);

    expect(stack.only("aws_autoscaling_group").initial_lifecycle_hook).toEqual([
      expect.objectContaining({ name: config.launchHookName, heartbeat_timeout: config.launchHookTimeoutSeconds }),
      expect.objectContaining({
        name: config.terminateHookName,
        heartbeat_timeout: config.terminateHookTimeoutSeconds,
      }),
    ]);
    expect(config).toMatchObject({
      terminateHookTimeoutSeconds: 864,
      drain: { mode: "finish", deadlineSeconds: 86_400 },
    });
  });

  test("nothing boots before its way out, its log groups and its key grant are there", () => {
    const stack = synthesized({ encryption: { volume_kms_key_arn: KEY_ARN } });
    const { depends_on } = stack.only("aws_autoscaling_group");
    for (const type of ["aws_vpc_security_group_egress_rule", "aws_cloudwatch_log_group", "aws_kms_grant"]) {
      expect(depends_on).toEqual(
        expect.arrayContaining(Object.keys(stack.resources(type)).map((name) => `${type}.${name}`)),
      );
    }
  });

  test("defect 4: user data says where the token is, and no more", () => {
    const config = workerConfig(synthesized());
    expect(config.token).toEqual({ secretArn: expect.stringMatching(/^arn:aws:secretsmanager:/) });
  });

  test("defect 4: a token in Parameter Store is asked for by its name", () => {
    const ssm_parameter_arn = "arn:aws:ssm:us-west-2:111122223333:parameter/workers/token";
    const stack = synthesized({ control_plane: { url: "https://control.example.com", token: { ssm_parameter_arn } } });
    const config = workerConfig(stack);
    expect(config.token).toEqual({ parameterName: "/workers/token" });
  });
});

describe("what workers may do", () => {
  const { partition, region, accountId } = SIMULATED;
  const groupArn = (pool: string) =>
    `arn:${partition}:autoscaling:${region}:${accountId}:autoScalingGroup:1:autoScalingGroupName/ez-cdc-test-${pool}`;

  test.each([
    "autoscaling:CompleteLifecycleAction",
    "autoscaling:RecordLifecycleActionHeartbeat",
    "autoscaling:SetInstanceProtection",
    "autoscaling:SetInstanceHealth",
  ])("defects 7 and 9: %s in the own group, and in no other", (action) => {
    const stack = synthesized(pools("docs", "mail"));
    const asked = (pool: string) => {
      const request = { action, resource: groupArn(pool) };
      return decide(policiesOfRole(stack.json, "ez-cdc-test-docs"), request);
    };
    expect(asked("docs")).toBe("allowed");
    expect(asked("mail")).toBe("implicitly denied");
  });
});

describe("protections", () => {
  test("R13: a key of the customer's is granted to the role that launches instances", () => {
    const stack = synthesized({ encryption: { volume_kms_key_arn: KEY_ARN } });

    expect(stack.only("aws_launch_template").block_device_mappings[0].ebs).toMatchObject({
      encrypted: "true",
      kms_key_id: KEY_ARN,
    });
    expect(stack.only("aws_kms_grant")).toMatchObject({
      key_id: KEY_ARN,
      grantee_principal: expect.stringContaining("autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"),
      operations: expect.arrayContaining(["CreateGrant"]),
    });
    expect(synthesized().resources("aws_kms_grant")).toEqual({});
  });

  test("R13: what is given up is named", () => {
    const flags = (overrides: Overrides) => fleetIn(awsStack(), overrides).unsafeFlags;

    expect(flags({})).toEqual([]);
    expect(flags({ unsafe: { imdsv1: true, imds_hop_limit: 2, unencrypted_root_volume: true } })).toEqual([
      "imds_hop_limit=2",
      "imdsv1",
      "unencrypted_root_volume",
    ]);
    expect(flags({ ssh: { key_name: "ops", cidr: "10.0.0.0/28" } })).toEqual(["ssh_key=ops", "ssh_from=10.0.0.0/28"]);
  });

  test("SSH is a key and one rule, both asked for", () => {
    const stack = synthesized({ ssh: { key_name: "ops", cidr: "10.0.0.0/28" } });

    expect(stack.only("aws_launch_template").key_name).toBe("ops");
    expect(stack.only("aws_vpc_security_group_ingress_rule")).toMatchObject({
      from_port: 22,
      to_port: 22,
      cidr_ipv4: "10.0.0.0/28",
    });
    expect(synthesized().resources("aws_vpc_security_group_ingress_rule")).toEqual({});
  });
});

describe("a pool that takes its jobs from a queue", () => {
  const queue_arn = "arn:aws:sqs:us-west-2:111122223333:mail";
  const secret = "arn:aws:secretsmanager:us-west-2:111122223333:secret:mail/";
  const backlog = { source: "sqs" as const, queue_arn, visibility_seconds: 300, secret_arns: [`${secret}*`] };
  const stack = synthesized({ pools: { cdc: SMALL_POOL, mail: { ...SMALL_POOL, backlog } } });
  const may = (pool: string, action: string, resource: string) =>
    decide(policiesOfRole(stack.json, `ez-cdc-test-${pool}`), { action, resource });

  test("grows by it, and tells its agents, which need no control plane then", () => {
    const alone = synthesized({ control_plane: undefined, pools: { mail: { ...SMALL_POOL, backlog } } });
    const config = workerConfig(alone);

    expect(JSON.stringify(alone.resources("aws_cloudwatch_metric_alarm"))).toContain('"QueueName":"mail"');
    expect(config.queue).toEqual({ arn: queue_arn, visibilitySeconds: 300 });
    expect(config).not.toHaveProperty("controlPlaneUrl");
    expect(config).not.toHaveProperty("token");
  });

  test("its workers receive from it and read the secrets that messages name; nobody else's do", () => {
    expect(may("mail", "sqs:ReceiveMessage", queue_arn)).toBe("allowed");
    expect(may("mail", "secretsmanager:GetSecretValue", `${secret}orders-Ab12Cd`)).toBe("allowed");
    expect(may("cdc", "sqs:ReceiveMessage", queue_arn)).toBe("implicitly denied");
    expect(may("cdc", "secretsmanager:GetSecretValue", `${secret}orders-Ab12Cd`)).toBe("implicitly denied");
  });

  test("its workers may not read the token of the control plane that others have", () => {
    expect(may("cdc", "secretsmanager:GetSecretValue", TOKEN_ARN)).toBe("allowed");
    expect(may("mail", "secretsmanager:GetSecretValue", TOKEN_ARN)).toBe("implicitly denied");
  });

  test("a queue of another region is refused: its messages would be answered from afar", () => {
    const abroad = { ...backlog, queue_arn: "arn:aws:sqs:eu-west-1:111122223333:mail" };
    expect(() => synthesized({ pools: { mail: { ...SMALL_POOL, backlog: abroad } } })).toThrow(
      "backlog.queue_arn (arn:aws:sqs:eu-west-1:111122223333:mail) should be in us-west-2, the fleet's region",
    );
  });
});

describe("upgrades of workers that run", () => {
  const read = (stack: SynthesizedStack, key: string) =>
    decide(policiesOfRole(stack.json, "ez-cdc-test-cdc"), {
      action: "s3:GetObject",
      resource: `arn:aws:s3:::ez-cdc-releases/${key}`,
    });

  test("R31: the release key and the gate are the agent's, and other versions are within its reach", () => {
    const stack = synthesized({ upgrade: { release_key: RELEASE_KEY } });

    expect(workerConfig(stack).upgrade).toEqual({ releaseKey: RELEASE_KEY, gateSeconds: 60 });
    expect(read(stack, "dbmazz/1.9.0/dbmazz-linux-arm64")).toBe("allowed");
    expect(read(stack, "worker-agent/9.0.0/worker-agent.mjs")).toBe("allowed");
    expect(read(stack, "others/1.9.0/file")).toBe("implicitly denied");
  });

  test("R31: without a release key there is one version for a worker", () => {
    const stack = synthesized();

    expect(workerConfig(stack)).not.toHaveProperty("upgrade");
    expect(read(stack, "dbmazz/1.8.0/dbmazz-linux-arm64")).toBe("allowed");
    expect(read(stack, "dbmazz/1.9.0/dbmazz-linux-arm64")).toBe("implicitly denied");
  });
});

test("a job's greatest age, and whether an instance whose drain failed is kept, reach the agent", () => {
  const drain = { retain_on_failure: true };
  const stack = synthesized({ pools: { cdc: { ...SMALL_POOL, drain, max_job_age_seconds: 86_400 } } });

  expect(workerConfig(stack)).toMatchObject({ maxJobAgeSeconds: 86_400, retainOnFailedDrain: true });
  expect(workerConfig(synthesized())).toMatchObject({ retainOnFailedDrain: false });
  expect(workerConfig(synthesized())).not.toHaveProperty("maxJobAgeSeconds");
});

describe("scaling", () => {
  test("a pool that only grows has no policy that shrinks it", () => {
    const stack = synthesized({ pools: { cdc: { ...SMALL_POOL, scale_in: { enabled: false } } } });
    expect(stack.only("aws_autoscaling_policy").name).toBe("ez-cdc-test-cdc-scale-out");
  });
});

describe("private link", () => {
  const control_plane = {
    url: "https://control.example.com",
    token: { secrets_manager_arn: "arn:aws:secretsmanager:us-west-2:111122223333:secret:t-Ab12Cd" },
    private_link: { service_name: "com.amazonaws.vpce.us-west-2.vpce-svc-0a1b" },
  };

  test("every pool's needs open endpoints, and nothing opens the internet", () => {
    const backlog = { source: "sqs" as const, queue_arn: "arn:aws:sqs:us-west-2:111122223333:mail" };
    const stack = synthesized({ control_plane, pools: { cdc: SMALL_POOL, mail: { ...SMALL_POOL, backlog } } });
    const services = Object.values(stack.resources("aws_vpc_endpoint")).map(({ service_name }) => service_name);

    expect(services).toEqual(
      expect.arrayContaining(["s3", "sqs", "secretsmanager", "autoscaling"].map((s) => `com.amazonaws.us-west-2.${s}`)),
    );
    expect(JSON.stringify(stack.resources("aws_vpc_security_group_egress_rule"))).not.toContain('/0"');
  });

  test("a network that is made has no gateway then", () => {
    const network = { create: { cidr_block: "10.9.0.0/20", availability_zones: ["us-west-2a", "us-west-2b"] } };
    expect(synthesized({ control_plane, network }).addresses.join()).not.toMatch(/aws_(internet|nat)_gateway/);
    expect(synthesized({ network }).addresses.join()).toMatch(/aws_nat_gateway/);
  });
});

describe("what the jobs and the network's owner bring along", () => {
  const private_link = { service_name: "com.amazonaws.vpce.us-west-2.vpce-svc-0a1b" };
  const control_plane = {
    url: "https://control.example.com",
    token: { secrets_manager_arn: TOKEN_ARN },
    private_link,
  };

  test("endpoints that the VPC has are used and not made a second time", () => {
    const services = (stack: SynthesizedStack) =>
      Object.values(stack.resources("aws_vpc_endpoint")).map(({ service_name }) =>
        String(service_name).split(".").at(-1),
      );
    const network = { vpc_id: "vpc-1", subnet_ids: ["subnet-1"], route_table_ids: ["rtb-1"] };
    const existing_endpoints = [{ service: "logs" as const, security_group_id: "sg-0a1b" }, { service: "s3" as const }];

    const all = synthesized({ control_plane, network });
    const some = synthesized({
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

  test("a network that is made records its connections where flow_logs asks for it", () => {
    const create = { cidr_block: "10.40.0.0/20", availability_zones: ["us-west-2a"] };
    const iam = { path: "/teams/backup/", permissions_boundary_arn: "arn:aws:iam::111122223333:policy/boundary" };

    const silent = synthesized({ network: { create } });
    const recorded = synthesized({
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

  test("additional statements stand in every pool's policy, and so within its boundary", () => {
    const statement = {
      sid: "WriteArchive",
      actions: ["s3:PutObject"],
      resources: ["arn:aws:s3:::archive/${aws:PrincipalTag/team}/*"],
      conditions: { StringEquals: { "s3:x-amz-server-side-encryption": ["aws:kms"] } },
    };

    const stack = synthesized({
      iam: { additional_statements: [statement] },
      pools: { a: SMALL_POOL, b: SMALL_POOL },
    });

    const policies = Object.values(stack.resources("aws_iam_policy")).map(({ policy }) => JSON.parse(policy).Statement);
    expect(policies).toHaveLength(2);
    for (const statements of policies) {
      expect(statements).toContainEqual({
        Sid: "WriteArchive",
        Effect: "Allow",
        Action: ["s3:PutObject"],
        Resource: [
          expect.stringMatching(/^arn:\$\{data\.aws_partition\..+\}:s3:::archive\/\$\$\{aws:PrincipalTag\/team\}\/\*$/),
        ],
        Condition: statement.conditions,
      });
    }
  });
});
