#!/usr/bin/env bash
# Stands for aws, sleep and date: asks the simulator, whose time passes only meanwhile.
exec 3<>"/dev/tcp/127.0.0.1/$SIMULATOR_PORT"
printf '%s\0' "${0##*/}" "$@" '' >&3
{
  read -r status
  cat
} <&3
exit "$status"
