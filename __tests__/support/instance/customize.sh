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

# Without a DHCP client nothing waits for DHCP: the container's network is up from the start.
rm -f "$root/sbin/dhclient"
