#!/bin/sh
# Has the group replace this instance, because its agent could not be kept up. Needs neither Node.js nor the agent's program:
# either may be what is broken. Says nothing while the instance leaves, and ends once the agent runs again.

. /opt/holdfast/aws.sh
config=/etc/holdfast/worker.json
worker=holdfast-worker.service

running() {
  case $(systemctl is-active $worker) in active | activating) ;; *) false ;; esac
}

# say LEVEL MESSAGE: a line of the agent's log.
say() {
  printf '{"time":"%s","level":"%s","message":"%s"}\n' "$(date -u +%FT%TZ)" "$1" "$2"
}

reason() {
  echo "the agent could not be kept up ($(systemctl show --value -p Result $worker)):" \
    "$(journalctl -qo cat -n 4 -u holdfast-token.service -u $worker)" | tr '\n\t' '; ' | tr -d '"\\' | cut -c -240
}

report_unhealthy() {
  if [ -z "$why" ]; then
    why=$(reason)
    say error "$why"
    echo "holdfast: $why" >&2
    ask ec2 Action=CreateTags Version=2016-11-15 ResourceId.1="$id" Tag.1.Key=holdfast:boot Tag.1.Value="unhealthy: $why" >&2
  fi
  ask autoscaling Action=SetInstanceHealth Version=2011-01-01 InstanceId="$id" HealthStatus=Unhealthy \
    ShouldRespectGracePeriod=false >&2 && told=yes && say error "reported unhealthy to the group"
}

# The agent would have done it: without this the group waits for the hook's whole timeout.
complete_terminate_hook() {
  ask autoscaling Action=CompleteLifecycleAction Version=2011-01-01 InstanceId="$id" LifecycleActionResult=CONTINUE \
    AutoScalingGroupName="$(field autoScalingGroupName <$config)" \
    LifecycleHookName="$(field terminateHookName <$config)" >&2 && say info "terminate hook completed without an agent"
}

until running; do
  identify
  case $(metadata meta-data/autoscaling/target-lifecycle-state) in
  InService) [ "$told" ] || metadata meta-data/spot/instance-action >/dev/null || report_unhealthy ;;
  Terminated) complete_terminate_hook && exit ;;
  esac
  sleep 5
done
