#!/bin/bash
# Builds an image, unless there is one of its name: a Debian with systemd and cloud-init that takes itself for an EC2 instance.
# usage: build.sh IMAGE PACKAGES
set -euo pipefail
image=$1 packages=$2
here=$(dirname "$(readlink -f "$0")")

podman image exists "$image" && exit

folder=$(mktemp --directory)
trap 'rm -r "$folder"' EXIT
# The machine's own mirror of Debian; other repositories have no part in the image.
sources=$(find /etc/apt/sources.list.d -name 'debian.sources' -o -name 'debian.list')
# The Java packages put links among the manual pages, which the image does not have.
# shellcheck disable=SC2016,SC2086
mmdebstrap --quiet --variant=minbase --include="$packages" --setup-hook='mkdir -p "$1/usr/share/man/man1"' \
  --customize-hook="$here/customize.sh" \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  bookworm "$folder/root.tar" $sources
# Outside containers systemd makes mounts propagate by itself, before it starts anything; LoadCredential= needs it.
podman --runtime=runc --cgroup-manager=cgroupfs --events-backend=file import --quiet \
  --change 'CMD ["/bin/sh", "-c", "mount --make-rshared / && exec /lib/systemd/systemd"]' "$folder/root.tar" "$image"
