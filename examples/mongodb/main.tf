# MongoDB replica set: three members in three zones, with data and journal on volumes of their own and the key in Secrets Manager.
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

resource "aws_vpc" "mongodb" {
  cidr_block = "10.53.0.0/24"
}

resource "aws_subnet" "mongodb" {
  for_each = { us-west-2a = 0, us-west-2b = 1, us-west-2c = 2 }

  vpc_id            = aws_vpc.mongodb.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(aws_vpc.mongodb.cidr_block, 4, each.value)
}

resource "aws_security_group" "mongodb" {
  name   = "mongodb"
  vpc_id = aws_vpc.mongodb.id
}

locals {
  nodes = [
    for index, subnet in values(aws_subnet.mongodb) : {
      node_id        = format("%02d", index)
      node_ip        = cidrhost(subnet.cidr_block, 10)
      node_subnet_id = subnet.id
    }
  ]
}

# The key that the members know each other by: put `openssl rand -base64 756` into it, outside of Terraform.
resource "aws_secretsmanager_secret" "key" {
  name_prefix = "mongodb-key-"
}

# The script is too large for user data beside the agent. It lies in S3, pinned: a changed script is a new template version.
resource "aws_s3_bucket" "scripts" {
  bucket_prefix = "mongodb-scripts-"
}

resource "aws_s3_bucket_versioning" "scripts" {
  bucket = aws_s3_bucket.scripts.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_object" "script" {
  bucket = aws_s3_bucket_versioning.scripts.bucket
  key    = "mongodb/node-config-script.sh"
  source = "${path.module}/node-config-script.sh"
  etag   = filemd5("${path.module}/node-config-script.sh")
}

module "mongodb" {
  source = "../.."

  app_name        = "mongodb"
  node_image      = "ami-0123456789abcdef0"
  instance_type   = "r7g.large"
  security_groups = [aws_security_group.mongodb.id]
  nodes           = local.nodes

  default_data_volume = {
    size_in_gibs           = 200
    type                   = "gp3"
    mount_path             = "/data"
    mount_params           = ["noatime"]
    file_system_type       = "xfs"
    mount_path_owner_user  = "mongodb"
    mount_path_owner_group = "mongodb"
  }
  # Mounted in the order of their names after /data, so that a path may lie in another.
  additional_data_volumes = {
    journal = {
      device_name            = "/dev/sdg"
      size_in_gibs           = 20
      type                   = "gp3"
      mount_path             = "/data/mongodb/journal"
      file_system_type       = "xfs"
      mount_path_owner_user  = "mongodb"
      mount_path_owner_group = "mongodb"
    }
  }

  node_files = [
    for node in local.nodes : {
      node_id = node.node_id
      node_files_toupload = [{
        destination = "/etc/holdfast/mongodb-members"
        contents    = base64encode(join("", [for n in local.nodes : "${n.node_id} ${n.node_ip}\n"]))
      }]
    }
  ]
  node_secret_files = [{
    destination = "/etc/holdfast/mongodb-key"
    secret_arn  = aws_secretsmanager_secret.key.arn
    owner       = "mongodb"
    group       = "mongodb"
    mode        = "0400"
  }]

  node_config_script_s3_url        = "s3://${aws_s3_object.script.bucket}/${aws_s3_object.script.key}"
  node_config_script_s3_version_id = aws_s3_object.script.version_id
  node_config_script_s3_sha256     = filesha256("${path.module}/node-config-script.sh")
}

output "groups" {
  value = module.mongodb.asg_names
}
