# etcd: three members in three zones, with the node config script in user data.
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

resource "aws_vpc" "etcd" {
  cidr_block = "10.51.0.0/24"
}

resource "aws_subnet" "etcd" {
  for_each = { us-west-2a = 0, us-west-2b = 1, us-west-2c = 2 }

  vpc_id            = aws_vpc.etcd.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(aws_vpc.etcd.cidr_block, 4, each.value)
}

resource "aws_security_group" "etcd" {
  name   = "etcd"
  vpc_id = aws_vpc.etcd.id
}

locals {
  nodes = [
    for index, subnet in values(aws_subnet.etcd) : {
      node_id        = format("%02d", index)
      node_ip        = cidrhost(subnet.cidr_block, 10)
      node_subnet_id = subnet.id
    }
  ]
}

module "etcd" {
  source = "../.."

  app_name        = "etcd"
  node_image      = "ami-0123456789abcdef0"
  instance_type   = "t3.small"
  security_groups = [aws_security_group.etcd.id]
  nodes           = local.nodes

  default_data_volume = {
    size_in_gibs           = 20
    type                   = "gp3"
    mount_path             = "/data"
    mount_params           = ["noatime"]
    file_system_type       = "xfs"
    mount_path_owner_user  = "etcd"
    mount_path_owner_group = "etcd"
  }

  node_files = [
    for node in local.nodes : {
      node_id = node.node_id
      node_files_toupload = [{
        destination = "/etc/holdfast/etcd-members"
        contents    = base64encode(join("", [for n in local.nodes : "${n.node_id} ${n.node_ip}\n"]))
      }]
    }
  ]
  node_config_script = filebase64("${path.module}/node-config-script.sh")
}

output "groups" {
  value = module.etcd.asg_names
}
