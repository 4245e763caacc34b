#!/bin/sh
# Run by mmdebstrap on the root of the image: what a container has no use for, and what cloud-init cannot see in one.
set -eu
root=$1
chroot "$root" systemctl mask getty.target console-getty.service systemd-logind.service systemd-networkd.service \
  systemd-resolved.service systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
  e2scrub_all.timer e2scrub_reap.service fstrim.timer

# cloud-init knows EC2 by the hypervisor's UUID, and a container has no /sys/hypervisor of its own.
sed -i 's#"/sys/hypervisor/uuid"#"/etc/instance/hypervisor-uuid"#' \
  "$root/usr/lib/python3/dist-packages/cloudinit/sources/DataSourceEc2.py"
mkdir "$root/etc/instance"
echo ec2ab000-0000-0000-0000-000000000001 >"$root/etc/instance/hypervisor-uuid"
# ds-identify reads the first line without a YAML parser.
cat >"$root/etc/cloud/cloud.cfg.d/90-instance.cfg" <<'CONFIG'
datasource_list: [ Ec2 ]
datasource: { Ec2: { strict_id: true, timeout: 5, max_wait: 60 } }
network: { config: disabled }
locale: false
CONFIG

# Without a DHCP client nothing waits for DHCP: the container's network is up from the start.
rm -f "$root/sbin/dhclient"

# Cluster software runs once a node is configured, not because it is installed.
for service in etcd zookeeper; do
  [ ! -e "$root/etc/init.d/$service" ] && [ ! -e "$root/lib/systemd/system/$service.service" ] ||
    chroot "$root" systemctl disable "$service"
done

# Debian has no package of the CloudWatch agent: this one reads its configuration and collects nothing.
agent=/opt/aws/amazon-cloudwatch-agent/bin
mkdir -p "$root$agent"
cat >"$root$agent/amazon-cloudwatch-agent-ctl" <<'PROGRAM'
#!/bin/sh
for argument; do file=${argument#file:}; done
exec python3 -m json.tool "$file" /dev/null
PROGRAM
chmod 755 "$root$agent/amazon-cloudwatch-agent-ctl"
