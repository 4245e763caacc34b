import { poolSchema } from "../../../modules/worker-fleet/pool-schema";
import { SMALL_POOL, TOKEN_ARN } from "../../support/fleet-settings";
import { decide, policiesOfRole } from "../../support/iam-policy";
import { synthesizedFleet, workerConfig } from "../../support/synthesized-fleet";

describe("a pool that takes its jobs from a queue", () => {
  const queue_arn = "arn:aws:sqs:us-west-2:111122223333:mail";
  const secret = "arn:aws:secretsmanager:us-west-2:111122223333:secret:mail/";
  const backlog = { source: "sqs" as const, queue_arn, visibility_seconds: 300, secret_arns: [`${secret}*`] };
  const stack = synthesizedFleet({ pools: { cdc: SMALL_POOL, mail: { ...SMALL_POOL, backlog } } });
  const may = (pool: string, action: string, resource: string) =>
    decide(policiesOfRole(stack.json, `ez-cdc-test-${pool}`), { action, resource });

  test("grows by it, and tells its agents, which need no control plane then", () => {
    const alone = synthesizedFleet({ control_plane: undefined, pools: { mail: { ...SMALL_POOL, backlog } } });
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

  test("a visibility that leaves a job hardly any of the twelve hours for which SQS lets it be held is refused", () => {
    const parsed = poolSchema.safeParse({ ...SMALL_POOL, backlog: { ...backlog, visibility_seconds: 42_000 } });

    expect(parsed.error?.issues).toMatchObject([
      { path: ["backlog", "visibility_seconds"], message: expect.stringContaining("write 21600 (6 h) at most") },
    ]);
  });

  test("a queue of another region is refused: its messages would be answered from afar", () => {
    const abroad = { ...backlog, queue_arn: "arn:aws:sqs:eu-west-1:111122223333:mail" };
    expect(() => synthesizedFleet({ pools: { mail: { ...SMALL_POOL, backlog: abroad } } })).toThrow(
      "backlog.queue_arn (arn:aws:sqs:eu-west-1:111122223333:mail) should be in us-west-2, the fleet's region",
    );
  });
});
