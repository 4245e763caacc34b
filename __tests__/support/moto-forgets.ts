/**
 * Attributes that moto 5.2 takes but does not give back as they were, so that a plan against it always wants to set them
 * again. AWS gives back each of them; the list may only shrink.
 */
export const MOTO_FORGETS: ReadonlySet<string> = new Set([
  // Answers without them, or with an empty one.
  "aws_autoscaling_group.capacity_reservation_specification",
  "aws_autoscaling_group.default_instance_warmup",
  "aws_autoscaling_group.instance_maintenance_policy",
  "aws_autoscaling_group.max_instance_lifetime",
  "aws_autoscaling_group.mixed_instances_policy",
  "aws_vpc_security_group_egress_rule.description",
  "aws_vpc_security_group_ingress_rule.description",
  // Answers with the queue and the role of an example in the AWS documentation.
  "aws_autoscaling_lifecycle_hook.notification_target_arn",
  "aws_autoscaling_lifecycle_hook.role_arn",
  // Answers that no policy is enabled, and that each has an empty predictive part.
  "aws_autoscaling_policy.enabled",
  "aws_autoscaling_policy.predictive_scaling_configuration",
  // Answers with an empty class, which cannot be changed: the rest follows from the replacement.
  "aws_cloudwatch_log_group.arn",
  "aws_cloudwatch_log_group.id",
  "aws_cloudwatch_log_group.kms_key_id",
  "aws_cloudwatch_log_group.log_group_class",
  "aws_cloudwatch_log_group.name_prefix",
  "aws_cloudwatch_log_group.tags",
  // Answers with the tags of the template itself among those of its instances: a new version follows, and its group.
  "aws_launch_template.default_version",
  "aws_launch_template.latest_version",
  "aws_launch_template.tag_specifications",
  "aws_autoscaling_group.launch_template",
]);
