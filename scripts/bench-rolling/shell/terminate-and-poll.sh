#!/usr/bin/env bash
# Rolls single-instance groups as modules of such groups commonly do: wait until all are in service, compare version numbers,
# terminate, wait until the group shows an instance in service. Its weaknesses are meant; it is what others are compared with.
#
# usage: terminate-and-poll.sh SECONDS GROUP…
set -eo pipefail
limit=$1
shift
groups=("$@")

field() {
  aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names "${@:2}" --query "$1" --output text
}

in_service() {
  [ "$(field 'AutoScalingGroups[].Instances[0].LifecycleState' "$@" | tr '\t' '\n' | grep -cx InService)" = $# ]
}

wait_for() {
  local deadline=$(($(date +%s) + limit))
  until in_service "$@" 2>/dev/null; do
    [ "$(date +%s)" -lt "$deadline" ] || return 1
    sleep 5
  done
}

for group in "${groups[@]}"; do
  wait_for "${groups[@]}" || exit 1
  wanted=$(field 'AutoScalingGroups[].LaunchTemplate.Version' "$group")
  running=$(field 'AutoScalingGroups[].Instances[].LaunchTemplate.Version' "$group")
  if [ "$wanted" -ne "$running" ]; then
    instance=$(field 'AutoScalingGroups[].Instances[0].InstanceId' "$group")
    aws autoscaling terminate-instance-in-auto-scaling-group --instance-id "$instance" --no-should-decrement-desired-capacity
    wait_for "$group" || exit 124
  fi
done
