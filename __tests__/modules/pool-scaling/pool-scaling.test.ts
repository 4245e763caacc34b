import { TerraformVariable } from "cdktf";
import { PoolScaling, type PoolScalingProps } from "../../../modules/pool-scaling/pool-scaling";
import { variableNumber, variableString } from "../../../modules/publish/expressions";
import { SynthesizedSignals } from "../../support/cloudwatch/synthesized-signals";

const POOL: PoolScalingProps = {
  deployment: "production",
  pool: "docs",
  asgName: "docs-group",
  jobsPerInstance: 40,
  backlog: { kind: "control-plane" },
};

const scaling = (props: Partial<PoolScalingProps> = {}) =>
  SynthesizedSignals.of((scope) => {
    new PoolScaling(scope, "scaling", { ...POOL, ...props });
  });

test("a pool has a step policy out and a simple policy in, each invoked by its own alarm", () => {
  const signals = scaling();

  const out = signals.policyOf(signals.alarm("scale-out"));
  const back = signals.policyOf(signals.alarm("scale-in"));

  expect(signals.policies).toHaveLength(2);
  expect(out).toMatchObject({
    name: "ez-cdc-production-docs-scale-out",
    autoscaling_group_name: "docs-group",
    policy_type: "StepScaling",
    adjustment_type: "ChangeInCapacity",
    estimated_instance_warmup: 180,
  });
  expect(back).toMatchObject({
    name: "ez-cdc-production-docs-scale-in",
    policy_type: "SimpleScaling",
    scaling_adjustment: -1,
    cooldown: 600,
  });
});

test("the steps meet without gap or overlap and have no upper end", () => {
  const signals = scaling();
  const steps = signals.policyOf(signals.alarm("scale-out")).step_adjustment ?? [];

  expect(steps[0]?.metric_interval_lower_bound).toBe("0");
  steps.forEach(({ metric_interval_upper_bound }, index) => {
    expect(metric_interval_upper_bound).toBe(steps[index + 1]?.metric_interval_lower_bound);
  });
});

test("no alarm is composite: those cannot run a scaling policy", () => {
  const signals = scaling({ targetSlotUsagePercent: 80 });
  for (const alarm of signals.alarms) expect(signals.policyOf(alarm)).toBeDefined();
});

test("a pool that only grows has no policy that removes instances", () => {
  const signals = scaling({ scaleIn: false });
  expect(signals.policies.map(({ name }) => name)).toEqual(["ez-cdc-production-docs-scale-out"]);
  expect(signals.alarms).toHaveLength(1);
});

test("names and numbers may be variables of a module", () => {
  const signals = SynthesizedSignals.of((scope) => {
    const deployment = new TerraformVariable(scope, "deployment", { type: "string" });
    const jobs = new TerraformVariable(scope, "jobs", { type: "number" });
    const cpu = new TerraformVariable(scope, "cpu", { type: "number" });
    new PoolScaling(scope, "scaling", {
      ...POOL,
      deployment: variableString(deployment),
      jobsPerInstance: variableNumber(jobs),
      scaleIn: { cpuBelowPercent: variableNumber(cpu) },
    });
  });

  expect(signals.alarm("scale-out").alarm_name).toBe("ez-cdc-${var.deployment}-docs-scale-out");
  expect(JSON.stringify(signals.alarm("scale-out"))).toContain("CEIL(backlog / ${var.jobs})");
  expect(JSON.stringify(signals.alarm("scale-in"))).toContain("100 - ${var.cpu}");
  expect(JSON.stringify(signals.alarm("scale-in"))).toContain("1.2 * ${var.jobs}");
});

test.each([
  [{ jobsPerInstance: 0 }, "jobsPerInstance (0) should be a whole number >= 1"],
  [{ jobsPerInstance: 2.5 }, "jobsPerInstance (2.5) should be a whole number >= 1"],
  [
    { backlog: { kind: "sqs", queueName: "docs", messagesPerInstance: 0 } },
    "backlog.messagesPerInstance (0) should be greater than 0",
  ],
  [{ scaleOut: { warmupSeconds: 30 } }, "scaleOut.warmupSeconds (30) should be at least 60"],
  [
    { scaleOut: { evaluationMinutes: 4 } },
    "scaleOut.evaluationMinutes (4) should be at least 1 and within scaleOut.warmupSeconds (180)",
  ],
  [
    { scaleOut: { evaluationMinutes: 2, minutesToAlarm: 3 } },
    "scaleOut.minutesToAlarm (3) should be from 1 to scaleOut.evaluationMinutes (2)",
  ],
  [{ scaleIn: { cpuBelowPercent: 0 } }, "scaleIn.cpuBelowPercent (0) should be above 0 and at most 100"],
  [{ scaleIn: { headroomSlots: -1 } }, "scaleIn.headroomSlots (-1) should be 0 or more"],
  [{ scaleIn: { quietMinutes: 12 } }, "scaleIn.quietMinutes (12) should be a multiple of 5, from 5 to 1440"],
  [{ scaleIn: { cooldownSeconds: -5 } }, "scaleIn.cooldownSeconds (-5) should be 0 or more"],
  [{ targetSlotUsagePercent: 101 }, "targetSlotUsagePercent (101) should be above 0 and at most 100"],
] as [Partial<PoolScalingProps>, string][])("refuses %o", (props, message) => {
  expect(() => scaling(props)).toThrow(`scaling: ${message}`);
});
