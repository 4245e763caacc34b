import { architectureOf } from "./architecture";
import { reachOfTimeout, timeoutForDeadline } from "./lifecycle-hooks";
import { type PoolConfig, poolKeys } from "./pool-keys";
import { type Finding, finding, type Rule, withRules } from "./schema-rules";
import { slotsNeeded, slotsOfType } from "./worker-slots";

function sizes({ size: { min, max, initial } }: PoolConfig): Finding[] {
  return [
    ...finding(min > max, ["size", "min"], `should be <= size.max (${max})`),
    ...finding(
      initial !== undefined && (initial < min || initial > max),
      ["size", "initial"],
      `should be from size.min (${min}) to size.max (${max})`,
    ),
  ];
}

function slotsOfTypes({ slots, instance_types }: PoolConfig): Finding[] {
  const unknown = instance_types.find((type) => slotsOfType(type) === undefined);
  return unknown === undefined ? [] : finding(slots === undefined, ["slots"], slotsNeeded(unknown));
}

function imagesOfTypes({ instance_types, images }: PoolConfig): Finding[] {
  if (images === undefined) {
    return [];
  }
  const architectures = instance_types.map(architectureOf);
  const uncovered = instance_types.flatMap((type, i) => {
    const architecture = architectureOf(type);
    return finding(
      images[architecture] === undefined,
      ["instance_types", i],
      `runs ${architecture}, and images has none for it; set images.${architecture} or leave the type out`,
    );
  });
  const unused = (["x86_64", "arm64"] as const).flatMap((architecture) =>
    finding(
      images[architecture] !== undefined && !architectures.includes(architecture),
      ["images", architecture],
      `is for ${architecture}, and no instance type (${instance_types.join(", ")}) runs it`,
    ),
  );
  return [...uncovered, ...unused];
}

function hookReachesDeadline({ drain: { deadline_seconds: deadline }, hooks }: PoolConfig): Finding[] {
  const timeout = hooks.terminate_timeout_seconds;
  if (timeout === undefined) {
    return [];
  }
  return finding(
    reachOfTimeout(timeout) < deadline,
    ["drain", "deadline_seconds"],
    `should be <= ${reachOfTimeout(timeout)}, as far as heartbeats carry hooks.terminate_timeout_seconds (${timeout}); ` +
      `raise that to ${timeoutForDeadline(deadline)} or leave it out`,
  );
}

function refreshBounds({
  instance_refresh: { min_healthy_percent: min, max_healthy_percent: max },
}: PoolConfig): Finding[] {
  return finding(
    max - min > 100,
    ["instance_refresh", "max_healthy_percent"],
    `should be at most 100 above instance_refresh.min_healthy_percent (${min})`,
  );
}

function maintenanceBounds({
  maintenance: { min_healthy_percent: min, max_healthy_percent: max },
}: PoolConfig): Finding[] {
  return finding(
    max - min > 100,
    ["maintenance", "max_healthy_percent"],
    `should be at most 100 above maintenance.min_healthy_percent (${min})`,
  );
}

function ascendingCheckpoints({ instance_refresh: { checkpoint_percents: percents } }: PoolConfig): Finding[] {
  const descent = percents.findIndex((percent, i) => i > 0 && percent <= (percents[i - 1] ?? 0));
  return finding(
    descent !== -1,
    ["instance_refresh", "checkpoint_percents", descent],
    `should be more than the one before it (${percents[descent - 1]})`,
  );
}

function warmPoolAlone({ warm_pool, spot, instance_types }: PoolConfig): Finding[] {
  const reason = spot !== undefined ? "this pool has spot" : `this pool has ${instance_types.join(", ")}`;
  return finding(
    warm_pool !== undefined && (spot !== undefined || instance_types.length > 1),
    ["warm_pool"],
    `needs one On-Demand instance type, and ${reason}; AWS refuses a warm pool beside a mixed instances policy`,
  );
}

function scheduledSizes({ schedules }: PoolConfig): Finding[] {
  return Object.entries(schedules).flatMap(([name, { min, max, desired }]) => [
    ...finding(
      min === undefined && max === undefined && desired === undefined,
      ["schedules", name],
      "changes nothing; give min, max or desired",
    ),
    ...finding(
      min !== undefined && max !== undefined && min > max,
      ["schedules", name, "min"],
      `should be <= schedules.${name}.max (${max})`,
    ),
    ...finding(
      desired !== undefined && (desired < (min ?? 0) || desired > (max ?? desired)),
      ["schedules", name, "desired"],
      `should be from ${min ?? 0} to ${max}, the schedule's min and max`,
    ),
  ]);
}

function backlogSource({
  backlog: { source, queue_arn, queue_kms_key_arn, messages_per_worker, secret_arns },
}: PoolConfig): Finding[] {
  if (source === "sqs") {
    return finding(queue_arn === undefined, ["backlog", "queue_arn"], "is needed with source sqs");
  }
  const secrets = secret_arns.length === 0 ? undefined : secret_arns;
  return Object.entries({ queue_arn, queue_kms_key_arn, messages_per_worker, secret_arns: secrets }).flatMap(
    ([key, value]) =>
      finding(value !== undefined, ["backlog", key], "needs source sqs; the control plane counts jobs itself"),
  );
}

function scaleOutWindow({ scale_out: { minutes_to_alarm, evaluation_minutes } }: PoolConfig): Finding[] {
  return finding(
    minutes_to_alarm > evaluation_minutes,
    ["scale_out", "minutes_to_alarm"],
    `should be <= scale_out.evaluation_minutes (${evaluation_minutes})`,
  );
}

/** @see https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html */
function volumePerformance({ root_volume: { size_gib, iops = 3_000, throughput_mibps = 125 } }: PoolConfig): Finding[] {
  return [
    ...finding(
      iops > Math.max(3_000, 500 * size_gib),
      ["root_volume", "iops"],
      `should be <= ${Math.max(3_000, 500 * size_gib)}: gp3 has 500 for each GiB of root_volume.size_gib (${size_gib})`,
    ),
    ...finding(
      throughput_mibps > Math.max(125, iops / 4),
      ["root_volume", "throughput_mibps"],
      `should be <= ${Math.max(125, iops / 4)}: gp3 has a quarter of root_volume.iops (${iops})`,
    ),
  ];
}

const RULES: readonly Rule<PoolConfig>[] = [
  { reads: ["size"], findings: sizes },
  { reads: ["slots", "instance_types"], findings: slotsOfTypes },
  { reads: ["instance_types", "images"], findings: imagesOfTypes },
  { reads: ["drain", "hooks"], findings: hookReachesDeadline },
  { reads: ["instance_refresh"], findings: refreshBounds },
  { reads: ["maintenance"], findings: maintenanceBounds },
  { reads: ["instance_refresh"], findings: ascendingCheckpoints },
  { reads: ["warm_pool", "spot", "instance_types"], findings: warmPoolAlone },
  { reads: ["schedules"], findings: scheduledSizes },
  { reads: ["backlog"], findings: backlogSource },
  { reads: ["scale_out"], findings: scaleOutWindow },
  { reads: ["root_volume"], findings: volumePerformance },
];

/** What a document, or the caller of the published module, says of one pool. */
export const poolSchema = withRules(poolKeys, RULES);
