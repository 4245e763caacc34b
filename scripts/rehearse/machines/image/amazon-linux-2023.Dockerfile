# An instance of Amazon Linux 2023, by podman build or docker build, for `holdfast rehearse --image`. No test builds it: its base
# comes from a registry. Packages of the cluster's software are the build-arg PACKAGES, separated by commas.
ARG BASE=public.ecr.aws/amazonlinux/amazonlinux:2023
FROM $BASE
ARG PACKAGES=
RUN dnf install -y systemd cloud-init xfsprogs e2fsprogs iproute procps-ng util-linux libstdc++ $(echo "$PACKAGES" | tr , ' ') \
  && dnf clean all
RUN systemctl mask getty.target console-getty.service systemd-logind.service systemd-networkd.service \
    systemd-resolved.service systemd-timesyncd.service \
  # cloud-init knows EC2 by the hypervisor's UUID, and a container has no /sys/hypervisor of its own.
  && sed -i 's#"/sys/hypervisor/uuid"#"/etc/instance/hypervisor-uuid"#' \
    /usr/lib/python3*/site-packages/cloudinit/sources/DataSourceEc2.py \
  && mkdir -p /etc/instance /etc/cloud/cloud.cfg.d \
  && echo ec2ab000-0000-0000-0000-000000000001 >/etc/instance/hypervisor-uuid \
  && printf '%s\n' 'datasource_list: [ Ec2 ]' 'datasource: { Ec2: { strict_id: true, timeout: 5, max_wait: 60 } }' \
    'network: { config: disabled }' 'locale: false' >/etc/cloud/cloud.cfg.d/90-instance.cfg \
  && systemctl enable cloud-init-local.service cloud-init.service cloud-config.service cloud-final.service \
  # Without a DHCP client nothing waits for DHCP: the container's network is up from the start.
  && rm -f /sbin/dhclient
CMD ["/bin/sh", "-c", "mount --make-rshared / && exec /lib/systemd/systemd"]
