# Kafka in KRaft mode: three nodes in three zones, each broker and controller, with a disk of its own for the log.
terraform {
  required_version = ">= 1.7"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}

provider "aws" {
  region = "us-west-2"
}

resource "aws_vpc" "kafka" {
  cidr_block = "10.52.0.0/24"
}

resource "aws_subnet" "kafka" {
  for_each = { us-west-2a = 0, us-west-2b = 1, us-west-2c = 2 }

  vpc_id            = aws_vpc.kafka.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(aws_vpc.kafka.cidr_block, 4, each.value)
}

resource "aws_security_group" "kafka" {
  name   = "kafka"
  vpc_id = aws_vpc.kafka.id
}

locals {
  nodes = [
    for index, subnet in values(aws_subnet.kafka) : {
      node_id        = format("%02d", index)
      node_ip        = cidrhost(subnet.cidr_block, 10)
      node_subnet_id = subnet.id
    }
  ]
}

# What kafka-storage.sh random-uuid prints: names the cluster for ever.
variable "cluster_id" {
  type    = string
  default = "4L6g3nShT-eMCtK--X86sw"
}

resource "aws_sns_topic" "operators" {
  name = "kafka-operators"
}

# The script is too large for user data beside the agent. It lies in S3, pinned: a changed script is a new template version.
resource "aws_s3_bucket" "scripts" {
  bucket_prefix = "kafka-scripts-"
}

resource "aws_s3_bucket_versioning" "scripts" {
  bucket = aws_s3_bucket.scripts.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_object" "script" {
  bucket = aws_s3_bucket_versioning.scripts.bucket
  key    = "kafka/node-config-script.sh"
  source = "${path.module}/node-config-script.sh"
  etag   = filemd5("${path.module}/node-config-script.sh")
}

module "kafka" {
  source = "../.."

  app_name        = "kafka"
  node_image      = "ami-0123456789abcdef0"
  instance_type   = "m7g.large"
  security_groups = [aws_security_group.kafka.id]
  nodes           = local.nodes

  default_data_volume = {
    size_in_gibs           = 500
    type                   = "gp3"
    throughput_mib_per_sec = 250
    mount_path             = "/data"
    mount_params           = ["noatime"]
    file_system_type       = "xfs"
    mount_path_owner_user  = "kafka"
    mount_path_owner_group = "kafka"
  }

  node_files = [
    for node in local.nodes : {
      node_id = node.node_id
      node_files_toupload = [
        {
          destination = "/etc/holdfast/kafka-members"
          contents    = base64encode(join("", [for n in local.nodes : "${n.node_id} ${n.node_ip}\n"]))
        },
        {
          destination = "/etc/holdfast/kafka-cluster-id"
          contents    = base64encode("${var.cluster_id}\n")
        },
      ]
    }
  ]

  node_config_script_s3_url        = "s3://${aws_s3_object.script.bucket}/${aws_s3_object.script.key}"
  node_config_script_s3_version_id = aws_s3_object.script.version_id
  node_config_script_s3_sha256     = filesha256("${path.module}/node-config-script.sh")

  # A broker that was down copies what it missed before it counts as healthy.
  health_timeout_seconds = 28800
  manage_launch_hook     = true
  alarms                 = { topic_arns = [aws_sns_topic.operators.arn] }
}

output "groups" {
  value = module.kafka.asg_names
}
