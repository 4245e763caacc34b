import { z } from "zod";
import { visibilitySeconds } from "../../agent/worker/queue/message-hold.json";
import { kmsKeyArn } from "../iam/kms-key-arn";
import { INSTANCE_TYPE } from "./architecture";
import { LONGEST_WAIT_SECONDS } from "./lifecycle-hooks";

/** Known to this machine, and written as AWS takes it: no offset, no other case. */
function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return /^[A-Z][A-Za-z]+(\/[A-Za-z0-9_+-]+)*$/.test(name);
  } catch {
    return false;
  }
}

const percent = z.int().min(0).max(100);
const seconds = z.int().min(0);
const image = z.string().regex(/^(ami-[0-9a-f]{8,17}|\/[A-Za-z0-9_./-]+)$/);

const size = z.strictObject({
  min: z.int().min(0).describe("Fewest workers."),
  max: z.int().min(1).describe("Most workers."),
  initial: z
    .int()
    .min(0)
    .optional()
    .describe("Workers at creation; later the number belongs to the scaling policies. Default: the fewest."),
});

const images = z.strictObject({
  x86_64: image.optional().describe("AMI id, or the path of an SSM parameter that holds one, for Intel and AMD types."),
  arm64: image.optional().describe("AMI id, or the path of an SSM parameter that holds one, for Graviton types."),
});

const spot = z.strictObject({
  on_demand_base: z.int().min(0).default(0).describe("On-Demand workers before the first Spot one."),
  on_demand_percent: percent.default(0).describe("Share of On-Demand workers beyond the base, in percent."),
});

const rootVolume = z.strictObject({
  size_gib: z.int().min(8).max(16_384).default(20).describe("Size in GiB."),
  iops: z.int().min(3_000).max(80_000).optional().describe("Operations per second. Default: 3,000, gp3's baseline."),
  throughput_mibps: z.int().min(125).max(2_000).optional().describe("MiB per second. Default: 125, gp3's baseline."),
  device_name: z.string().startsWith("/dev/").default("/dev/xvda").describe("Root device of the AMI."),
});

const drain = z.strictObject({
  mode: z
    .enum(["handoff", "finish"])
    .default("handoff")
    .describe(
      "How a leaving worker treats its jobs: hand them over at once (streams), or finish them first (batches).",
    ),
  deadline_seconds: z
    .int()
    .min(30)
    .max(LONGEST_WAIT_SECONDS)
    .default(900)
    .describe("Seconds after which an unfinished drain ends: jobs are then given back. 48 hours at most."),
  retain_on_failure: z
    .boolean()
    .default(false)
    .describe(
      "Abandon the terminate hook when a job had to be killed, for a group whose lifecycle policy retains such instances.",
    ),
});

const hooks = z.strictObject({
  launch_timeout_seconds: z
    .int()
    .min(30)
    .max(7_200)
    .default(600)
    .describe("Seconds from launch to registration, after which an instance is replaced."),
  terminate_timeout_seconds: z
    .int()
    .min(30)
    .max(7_200)
    .optional()
    .describe(
      "Seconds without a heartbeat after which a draining worker is given up. Default: the drain deadline / 100, at least 300.",
    ),
});

const instanceRefresh = z.strictObject({
  min_healthy_percent: percent.default(50).describe("Share of the workers that stays healthy, in percent."),
  max_healthy_percent: z
    .int()
    .min(100)
    .max(200)
    .default(150)
    .describe("Share up to which replacements launch early, in percent; at most 100 above the least."),
  warmup_seconds: seconds.default(120).describe("Seconds from a replacement's entry into service to the next one."),
  checkpoint_percents: z
    .array(z.int().min(1).max(100))
    .default([])
    .describe("Percentages of replaced workers at which to pause, ascending."),
  checkpoint_delay_seconds: z.int().min(0).max(172_800).default(3_600).describe("Length of a pause, in seconds."),
});

const maintenance = z.strictObject({
  min_healthy_percent: percent.default(100).describe("Share of the workers that stays healthy, in percent."),
  max_healthy_percent: z
    .int()
    .min(100)
    .max(200)
    .default(110)
    .describe("Share up to which replacements launch first, in percent."),
});

const warmPool = z.strictObject({
  min_size: z.int().min(0).default(0).describe("Instances to keep prepared at least."),
  max_prepared: z
    .int()
    .min(0)
    .optional()
    .describe("Prepared and serving instances together. Default: the pool's greatest size."),
  state: z
    .enum(["Stopped", "Running", "Hibernated"])
    .default("Stopped")
    .describe(
      "State in which prepared instances wait; Hibernated takes a type that can, and a root volume that also holds its memory.",
    ),
  reuse_on_scale_in: z.boolean().default(false).describe("Put an instance that is scaled in back into the warm pool."),
});

const schedule = z.strictObject({
  cron: z
    .string()
    .regex(/^(\S+ ){4}\S+$/)
    .describe("Five fields: minute, hour, day of month, month, day of week."),
  time_zone: z
    .string()
    .min(1)
    .refine(isTimeZone, { message: "should be an IANA time zone, such as Europe/Dublin" })
    .default("Etc/UTC")
    .describe("IANA time zone, daylight saving included."),
  min: z.int().min(0).optional().describe("Fewest workers from then on. Default: unchanged."),
  max: z.int().min(0).optional().describe("Most workers from then on. Default: unchanged."),
  desired: z.int().min(0).optional().describe("Workers at that moment. Default: unchanged."),
});

const backlog = z.strictObject({
  source: z
    .enum(["control-plane", "sqs"])
    .default("control-plane")
    .describe("Where jobs wait and workers take them from: the control plane, or an SQS queue."),
  queue_arn: z
    .string()
    .regex(/^arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]+$/)
    .optional()
    .describe("The SQS queue, of this region, with a redrive policy to a dead-letter queue."),
  queue_kms_key_arn: kmsKeyArn()
    .optional()
    .describe("Customer managed key of the queue. Default: SQS managed encryption, or none."),
  visibility_seconds: z
    .int()
    .min(visibilitySeconds.min)
    .max(visibilitySeconds.max, visibilitySeconds.aboveMax)
    .default(visibilitySeconds.default)
    .describe(
      "Seconds after which a message whose worker is gone is another's; its job must end this long before SQS's twelve hours.",
    ),
  secret_arns: z
    .array(z.string().regex(/^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+$/))
    .default([])
    .describe("Secrets that messages name for their databases, which workers then may read; * at an end for many."),
  messages_per_worker: z
    .number()
    .positive()
    .optional()
    .describe(
      "Messages that may wait for each worker: acceptable wait / time one message occupies a worker. Default: slots.",
    ),
});

const scaleOut = z.strictObject({
  evaluation_minutes: z.int().min(1).max(60).default(2).describe("Minutes looked at."),
  minutes_to_alarm: z.int().min(1).max(60).default(1).describe("Minutes of those in which a worker must be missing."),
  warmup_seconds: seconds.default(180).describe("Seconds until a new worker has taken its share."),
});

const scaleIn = z.strictObject({
  enabled: z.boolean().default(true).describe("Whether idle workers leave."),
  cpu_below_percent: z.int().min(1).max(100).default(30).describe("Average CPU below which a worker may be spare."),
  headroom_slots: z
    .int()
    .min(0)
    .optional()
    .describe("Free slots that must remain after a worker has left. Default: a fifth of slots."),
  quiet_minutes: z
    .int()
    .min(5)
    .max(1_440)
    .multipleOf(5)
    .default(15)
    .describe("Minutes in which a worker must be spare."),
  cooldown_seconds: seconds.default(600).describe("Seconds between the end of one drain and the next."),
});

const bootHooks = z.strictObject({
  before_install: z.string().min(1).optional().describe("Shell script, run as root before anything is installed."),
  after_install: z.string().min(1).optional().describe("Shell script, run as root before the agent starts."),
});

/** The keys of a pool, each with its own bounds. Units stand in the names. */
export const poolKeys = z.strictObject({
  instance_types: z
    .array(z.string().regex(INSTANCE_TYPE, { message: "should be <family>.<size>, such as c7g.large" }))
    .min(1)
    .max(40)
    .describe(
      "What the pool may run on, in order of preference; Graviton and Intel or AMD types may stand side by side.",
    ),
  images: images.optional().describe("What boots, by architecture. Default: the newest Amazon Linux 2023."),
  size: size.describe("How many workers."),
  slots: z
    .int()
    .min(1)
    .max(200)
    .optional()
    .describe("Jobs that one worker runs at a time. Default: by instance type, the least of the pool's."),
  labels: z
    .record(z.string().min(1).max(63), z.string().max(255))
    .default({})
    .describe("By which jobs choose workers."),
  boot_hooks: bootHooks
    .prefault({})
    .describe("What else an instance does before it registers; a script that fails fails the boot. Never a secret."),
  drain: drain.prefault({}).describe("How a worker leaves."),
  max_job_age_seconds: z
    .int()
    .min(60)
    .optional()
    .describe("Seconds after which a job is given back, to start anew on any worker. Default: as long as it takes."),
  backlog: backlog.prefault({}).describe("The waiting work, which the pool takes and grows by."),
  scale_out: scaleOut.prefault({}).describe("When the pool grows."),
  scale_in: scaleIn.prefault({}).describe("When the pool shrinks: processors idle, nothing waiting and slots free."),
  target_slot_usage_percent: z
    .int()
    .min(1)
    .max(100)
    .optional()
    .describe("Share of the slots in use beyond which the pool grows before work has to wait. Default: none."),
  spot: spot
    .optional()
    .describe("Buy spare capacity, which may be taken back at two minutes' notice. Default: On-Demand only."),
  root_volume: rootVolume.prefault({}).describe("The encrypted gp3 volume that an instance boots from."),
  detailed_monitoring: z.boolean().default(false).describe("EC2 metrics every minute instead of every five."),
  hooks: hooks.prefault({}).describe("How long an instance may take to enter and to leave service."),
  instance_refresh: instanceRefresh.prefault({}).describe("How a change of the launch template reaches the workers."),
  maintenance: maintenance.prefault({}).describe("Bounds in which workers are replaced for other reasons."),
  health_check_grace_seconds: seconds
    .default(60)
    .describe("Seconds after entering service in which failed EC2 status checks do not count."),
  warmup_seconds: seconds.default(120).describe("Seconds until the metrics of a new worker count for scaling."),
  max_lifetime_days: z
    .int()
    .min(1)
    .max(365)
    .optional()
    .describe("Days after which a worker is replaced. Default: never."),
  warm_pool: warmPool.optional().describe("Instances prepared in advance. Default: none."),
  schedules: z
    .record(z.string().regex(/^[a-z][a-z0-9-]*$/), schedule)
    .default({})
    .describe("Sizes by time of day."),
  capacity_timeout_seconds: seconds
    .max(7_200)
    .default(900)
    .describe("How long terraform waits for the fewest workers to be in service; 0 does not wait."),
  tags: z
    .record(z.string().min(1).max(128), z.string().max(256))
    .default({})
    .describe("Tags of the pool's instances, volumes and network interfaces, beside the deployment's."),
});

/** A pool, with every default filled in. */
export type PoolConfig = z.output<typeof poolKeys>;
