import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import { TerraformOutput, Testing } from "cdktf";
import { cloudWatchAgentConfig } from "../../../modules/worker-observability/cloudwatch-agent-config";
import { LOG_KINDS, WorkerLogs, type WorkerLogsProps } from "../../../modules/worker-observability/worker-logs";

const synth = (props: Omit<WorkerLogsProps, "deployment"> = {}) =>
  JSON.parse(
    Testing.synthScope((scope) => {
      new WorkerLogs(scope, "logs", { deployment: "production", ...props });
    }),
  ).resource[CloudwatchLogGroup.tfResourceType] as Record<string, Record<string, unknown>>;

const names = (groups: ReturnType<typeof synth>) => Object.values(groups).map(({ name }) => name);

test("R19: a deployment's log groups exist before its workers, with retention", () => {
  const groups = synth();

  expect(names(groups).sort()).toEqual(LOG_KINDS.map((kind) => `/ez-cdc/workers/production/${kind}`));
  for (const group of Object.values(groups)) {
    expect(group).toMatchObject({ retention_in_days: 30 });
    expect(group).not.toHaveProperty("kms_key_id");
    expect(group).not.toHaveProperty("log_group_class");
  }
});

test("R19: a given key encrypts every group", () => {
  const kmsKeyArn = "arn:aws:kms:us-west-2:111122223333:key/1";

  const groups = synth({ kmsKeyArn, retentionDays: 7, logClass: "INFREQUENT_ACCESS", product: "acme" });

  expect(names(groups)).toContain("/acme/workers/production/jobs");
  for (const group of Object.values(groups)) {
    expect(group).toMatchObject({ kms_key_id: kmsKeyArn, retention_in_days: 7, log_group_class: "INFREQUENT_ACCESS" });
  }
});

test("R19: the CloudWatch agent writes to exactly these groups and asks for no retention", () => {
  let config: ReturnType<typeof cloudWatchAgentConfig> | undefined;
  const synthesized = JSON.parse(
    Testing.synthScope((scope) => {
      const logs = new WorkerLogs(scope, "logs", { deployment: "production" });
      config = cloudWatchAgentConfig({ deployment: "production", pool: "docs", logGroups: logs.groupNames });
    }),
  );

  const written = new Set(config?.logs.logs_collected.files.collect_list.map(({ log_group_name }) => log_group_name));
  const created = names(synthesized.resource[CloudwatchLogGroup.tfResourceType]);
  expect([...written].sort()).toEqual(created.sort());
  expect(JSON.stringify(config)).not.toContain("retention_in_days");
});

test("R19: rights of a worker end at the streams of its deployment's groups", () => {
  const { output } = JSON.parse(
    Testing.synthScope((scope) => {
      const logs = new WorkerLogs(scope, "logs", { deployment: "production" });
      new TerraformOutput(scope, "writable", { value: logs.writableArns });
    }),
  );

  expect(output.writable.value).toEqual(
    LOG_KINDS.map((kind) =>
      expect.stringMatching(`^\\$\\{aws_cloudwatch_log_group\\.logs_${kind}_\\w+\\.arn\\}:log-stream:\\*$`),
    ),
  );
});

test("a retention that CloudWatch does not offer is refused with those it does", () => {
  expect(() => synth({ retentionDays: 45 })).toThrow(
    /logs: retentionDays \(45\) should be one of 1, 3, 5, 7, 14, 30, 60,/,
  );
});
