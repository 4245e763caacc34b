import { z } from "zod";

/**
 * What amazon-cloudwatch-agent accepts in the sections we write, with unknown keys refused: a key it does not know is ignored or
 * stops it from starting.
 *
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Agent-Configuration-File-Details.html
 */
const seconds = z.int().min(1).max(172_800);
const dimensions = z.record(z.string().min(1), z.string().min(1)).refine((set) => Object.keys(set).length <= 30);
const plugin = {
  measurement: z.array(z.string().min(1)).min(1),
  metrics_collection_interval: seconds.optional(),
  append_dimensions: dimensions.optional(),
  drop_original_metrics: z.array(z.string()).min(1).optional(),
};
const resources = z.array(z.string().min(1)).max(256).optional();

/** Global dimensions are a closed set; each is filled in by the agent. */
const instanceDimensions = z.strictObject({
  ImageId: z.literal("${aws:ImageId}").optional(),
  InstanceId: z.literal("${aws:InstanceId}").optional(),
  InstanceType: z.literal("${aws:InstanceType}").optional(),
  AutoScalingGroupName: z.literal("${aws:AutoScalingGroupName}").optional(),
});

const logFile = z.strictObject({
  file_path: z.string().startsWith("/"),
  log_group_name: z.string().regex(/^[\w./#-]{1,512}$/),
  log_stream_name: z.string().regex(/^[^:*]{1,512}$/),
  timezone: z.enum(["UTC", "Local"]).optional(),
  publish_multi_logs: z.boolean().optional(),
});

export const cloudWatchAgentSchema = z.strictObject({
  agent: z.strictObject({ metrics_collection_interval: seconds, logfile: z.string() }),
  metrics: z.strictObject({
    namespace: z
      .string()
      .min(1)
      .max(255)
      .regex(/^(?!AWS\/)/),
    append_dimensions: instanceDimensions,
    aggregation_dimensions: z.array(z.array(z.string()).max(30)).min(1),
    metrics_collected: z.strictObject({
      cpu: z.strictObject({ ...plugin, totalcpu: z.boolean() }),
      mem: z.strictObject(plugin),
      disk: z.strictObject({ ...plugin, resources, drop_device: z.boolean().optional() }),
      net: z.strictObject({ ...plugin, resources }),
    }),
  }),
  logs: z.strictObject({
    force_flush_interval: seconds.optional(),
    logs_collected: z.strictObject({
      files: z.strictObject({ collect_list: z.array(logFile).min(1) }),
    }),
  }),
});
