import { WorkerFleet } from "../../../modules/worker-fleet/worker-fleet";
import { fleetSettings, KEY_ARN, SMALL_POOL } from "../../support/fleet-settings";
import { decide, policiesOfRole, SIMULATED } from "../../support/iam-policy";
import { type FleetOverrides, fleetIn, synthesizedFleet, workerConfig } from "../../support/synthesized-fleet";
import { awsStack, type SynthesizedStack } from "../../support/synthesized-stack";
import { RELEASE_KEY } from "../../support/user-data";

const pools = (...names: string[]) => ({ pools: Object.fromEntries(names.map((name) => [name, SMALL_POOL])) });

describe("pools", () => {
  test.each([1, 3, 7])("R1: %d pools are as many groups, templates and scaling sets", (count) => {
    const names = ["docs", "calendars", "sites", "mail", "backup", "restore", "export"].slice(0, count);
    const stack = synthesizedFleet(pools(...names));
    const policies = Object.values(stack.resources("aws_autoscaling_policy")).map(({ name }) => name);

    expect(Object.keys(stack.resources("aws_autoscaling_group"))).toHaveLength(count);
    expect(Object.keys(stack.resources("aws_launch_template"))).toHaveLength(count);
    expect(policies.sort()).toEqual(
      names.flatMap((name) => [`ez-cdc-test-${name}-scale-in`, `ez-cdc-test-${name}-scale-out`]).sort(),
    );
  });

  test("R1: a pool that comes, goes or moves changes no address of another", () => {
    const { addresses } = synthesizedFleet(pools("docs", "mail"));

    expect(synthesizedFleet(pools("docs", "mail", "sites")).addresses).toEqual(expect.arrayContaining(addresses));
    expect(addresses).toEqual(expect.arrayContaining(synthesizedFleet(pools("mail")).addresses));
    expect(synthesizedFleet(pools("mail", "docs")).addresses).toEqual(addresses);
  });

  test("R1: nor anything else of another pool", () => {
    const groupsOf = (stack: SynthesizedStack) => stack.resources("aws_autoscaling_group");

    expect(groupsOf(synthesizedFleet(pools("sites", "mail", "docs")))).toMatchObject(
      groupsOf(synthesizedFleet(pools("docs", "mail"))),
    );
  });

  test("R1: a pool may bear the name of a part of the fleet", () => {
    expect(
      Object.keys(synthesizedFleet(pools("logs", "network", "pools")).resources("aws_autoscaling_group")),
    ).toHaveLength(3);
  });

  test("a name that AWS does not take is refused", () => {
    expect(() =>
      synthesizedFleet({ product: "a-very-long-product-1", ...pools("a-very-long-name-of-a-pool-0123") }),
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
    const before = synthesizedFleet();
    const after = synthesizedFleet({ pools: { cdc: { ...SMALL_POOL, slots: 6 } } });

    expect(after.only("aws_launch_template").user_data).not.toBe(before.only("aws_launch_template").user_data);
    expect(after.only("aws_autoscaling_group")).toEqual(before.only("aws_autoscaling_group"));
    expect(after.only("aws_autoscaling_group").launch_template.version).toMatch(/\.latest_version\}$/);
  });

  test.each([
    [{ instance_types: ["c6i.xlarge", "t3.medium"] }, 3],
    [{ instance_types: ["c6i.xlarge", "t3.medium"], slots: 7 }, 7],
  ])("agent and scaling know the same slots of %j: %d", (pool, slots) => {
    const stack = synthesizedFleet({ pools: { cdc: { ...SMALL_POOL, ...pool } } });
    const config = workerConfig(stack);
    const alarms = Object.values(stack.resources("aws_cloudwatch_metric_alarm"));
    const scaleIn = alarms.find(({ alarm_name }) => alarm_name.endsWith("-scale-in"));

    expect(config.slots).toBe(slots);
    expect(JSON.stringify(scaleIn)).toContain(`1.2 * ${slots}`);
  });

  test("R7: agent and group agree on the hooks and on the deadline", () => {
    const stack = synthesizedFleet({
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
    const stack = synthesizedFleet({ encryption: { volume_kms_key_arn: KEY_ARN } });
    const { depends_on } = stack.only("aws_autoscaling_group");
    for (const type of ["aws_vpc_security_group_egress_rule", "aws_cloudwatch_log_group", "aws_kms_grant"]) {
      expect(depends_on).toEqual(
        expect.arrayContaining(Object.keys(stack.resources(type)).map((name) => `${type}.${name}`)),
      );
    }
  });

  test("defect 4: user data says where the token is, and no more", () => {
    const config = workerConfig(synthesizedFleet());
    expect(config.token).toEqual({ secretArn: expect.stringMatching(/^arn:aws:secretsmanager:/) });
  });

  test("defect 4: a token in Parameter Store is asked for by its name", () => {
    const ssm_parameter_arn = "arn:aws:ssm:us-west-2:111122223333:parameter/workers/token";
    const stack = synthesizedFleet({
      control_plane: { url: "https://control.example.com", token: { ssm_parameter_arn } },
    });
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
    const stack = synthesizedFleet(pools("docs", "mail"));
    const asked = (pool: string) => {
      const request = { action, resource: groupArn(pool) };
      return decide(policiesOfRole(stack.json, "ez-cdc-test-docs"), request);
    };
    expect(asked("docs")).toBe("allowed");
    expect(asked("mail")).toBe("implicitly denied");
  });

  test("additional statements stand in every pool's policy, and so within its boundary", () => {
    const statement = {
      sid: "WriteArchive",
      actions: ["s3:PutObject"],
      resources: ["arn:aws:s3:::archive/${aws:PrincipalTag/team}/*"],
      conditions: { StringEquals: { "s3:x-amz-server-side-encryption": ["aws:kms"] } },
    };

    const stack = synthesizedFleet({
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

describe("protections", () => {
  test("R13: a key of the customer's is granted to the role that launches instances", () => {
    const stack = synthesizedFleet({ encryption: { volume_kms_key_arn: KEY_ARN } });

    expect(stack.only("aws_launch_template").block_device_mappings[0].ebs).toMatchObject({
      encrypted: "true",
      kms_key_id: KEY_ARN,
    });
    expect(stack.only("aws_kms_grant")).toMatchObject({
      key_id: KEY_ARN,
      grantee_principal: expect.stringContaining("autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"),
      operations: expect.arrayContaining(["CreateGrant"]),
    });
    expect(synthesizedFleet().resources("aws_kms_grant")).toEqual({});
  });

  test("R13: what is given up is named", () => {
    const flags = (overrides: FleetOverrides) => fleetIn(awsStack(), overrides).unsafeFlags;

    expect(flags({})).toEqual([]);
    expect(flags({ unsafe: { imdsv1: true, imds_hop_limit: 2, unencrypted_root_volume: true } })).toEqual([
      "imds_hop_limit=2",
      "imdsv1",
      "unencrypted_root_volume",
    ]);
    expect(flags({ ssh: { key_name: "ops", cidr: "10.0.0.0/28" } })).toEqual(["ssh_key=ops", "ssh_from=10.0.0.0/28"]);
  });

  test("SSH is a key and one rule, both asked for", () => {
    const stack = synthesizedFleet({ ssh: { key_name: "ops", cidr: "10.0.0.0/28" } });

    expect(stack.only("aws_launch_template").key_name).toBe("ops");
    expect(stack.only("aws_vpc_security_group_ingress_rule")).toMatchObject({
      from_port: 22,
      to_port: 22,
      cidr_ipv4: "10.0.0.0/28",
    });
    expect(synthesizedFleet().resources("aws_vpc_security_group_ingress_rule")).toEqual({});
  });
});

describe("upgrades of workers that run", () => {
  const read = (stack: SynthesizedStack, key: string) =>
    decide(policiesOfRole(stack.json, "ez-cdc-test-cdc"), {
      action: "s3:GetObject",
      resource: `arn:aws:s3:::ez-cdc-releases/${key}`,
    });

  test("R31: the release key and the gate are the agent's, and other versions are within its reach", () => {
    const stack = synthesizedFleet({ upgrade: { release_key: RELEASE_KEY } });

    expect(workerConfig(stack).upgrade).toEqual({ releaseKey: RELEASE_KEY, gateSeconds: 60 });
    expect(read(stack, "dbmazz/1.9.0/dbmazz-linux-arm64")).toBe("allowed");
    expect(read(stack, "worker-agent/9.0.0/worker-agent.mjs")).toBe("allowed");
    expect(read(stack, "others/1.9.0/file")).toBe("implicitly denied");
  });

  test("R31: without a release key there is one version for a worker", () => {
    const stack = synthesizedFleet();

    expect(workerConfig(stack)).not.toHaveProperty("upgrade");
    expect(read(stack, "dbmazz/1.8.0/dbmazz-linux-arm64")).toBe("allowed");
    expect(read(stack, "dbmazz/1.9.0/dbmazz-linux-arm64")).toBe("implicitly denied");
  });
});

test("a job's greatest age, and whether an instance whose drain failed is kept, reach the agent", () => {
  const drain = { retain_on_failure: true };
  const stack = synthesizedFleet({ pools: { cdc: { ...SMALL_POOL, drain, max_job_age_seconds: 86_400 } } });

  expect(workerConfig(stack)).toMatchObject({ maxJobAgeSeconds: 86_400, retainOnFailedDrain: true });
  expect(workerConfig(synthesizedFleet())).toMatchObject({ retainOnFailedDrain: false });
  expect(workerConfig(synthesizedFleet())).not.toHaveProperty("maxJobAgeSeconds");
});

describe("scaling", () => {
  test("a pool that only grows has no policy that shrinks it", () => {
    const stack = synthesizedFleet({ pools: { cdc: { ...SMALL_POOL, scale_in: { enabled: false } } } });
    expect(stack.only("aws_autoscaling_policy").name).toBe("ez-cdc-test-cdc-scale-out");
  });
});
