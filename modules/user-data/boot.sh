#!/bin/sh
# What cloud-init runs, once, as root and without $HOME: unpacks a program and its configuration, finds or installs Node.js,
# and hands over. The renderer puts "program=NAME" in front of this text (less comments and indentation), the files after
# it, and a call of boot at the end. A failure here ends as one in the program does: with the reason, ABANDON, and power off.

lib=/opt/holdfast
etc=/etc/holdfast
log=/var/log/holdfast/bootstrap.log
umask 022
mkdir -p $lib $etc ${log%/*}

say() {
  echo "holdfast: $*" | tee -a $log
}

node_20() {
  [ -x "$1" ] && "$1" -e 'process.exit(+(parseInt(process.versions.node)<20))'
}

# The versioned names stay when an alternative is switched.
find_node() {
  for node in /usr/bin/node-22 /usr/bin/node-24 /usr/bin/node-20 /usr/bin/node /usr/local/bin/node; do
    node_20 $node && return
  done
  return 1
}

# Certificates for everything that uses the system's trust: package managers, curl.
trust() {
  if [ -d /etc/pki/ca-trust/source/anchors ]; then
    cp $etc/ca.pem /etc/pki/ca-trust/source/anchors/holdfast.pem && update-ca-trust
  else
    cp $etc/ca.pem /usr/local/share/ca-certificates/holdfast.crt && update-ca-certificates
  fi >>$log 2>&1
}

install_node() {
  if [ -x /usr/bin/dnf ]; then
    timeout 120 dnf install -qy nodejs22
  else
    export DEBIAN_FRONTEND=noninteractive
    timeout 60 apt-get update -q && timeout 120 apt-get install -qy nodejs
  fi >>$log 2>&1
}

boot() {
  [ ! -f $etc/environment ] || while IFS= read -r line; do export "$line"; done <$etc/environment
  [ ! -f $etc/ca.pem ] || trust || give_up "the certificates of $etc/ca.pem could not be installed: see $log"
  try=1
  until find_node; do
    [ $try -le 3 ] || give_up "no Node.js 20 or later, and none could be installed: see $log"
    install_node
    sleep $try
    try=$((try + 1))
  done
  $node $lib/$program.mjs boot
  status=$?
  # 3: the program has given up by itself, as give_up does.
  case $status in 0 | 3) exit $status ;; esac
  give_up "$program.mjs boot ended with status $status: see $log"
}

metadata() {
  curl -sfm 2 -H "X-aws-ec2-metadata-token: $session" "$imds/latest/$1"
}

# field NAME: a string in the JSON object on standard input.
field() {
  sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"
}

# ask SERVICE PARAMETER=VALUE...: a signed call. The keys go through standard input, since anyone may read arguments.
ask() {
  service=$1
  shift
  for parameter; do
    shift
    set -- "$@" --data-urlencode "$parameter"
  done
  printf 'user="%s:%s"\nheader="X-Amz-Security-Token: %s"' "$(echo "$keys" | field AccessKeyId)" \
    "$(echo "$keys" | field SecretAccessKey)" "$(echo "$keys" | field Token)" |
    curl -sSfm 4 -K - --aws-sigv4 "aws:amz:$region:$service" "$@" "${AWS_ENDPOINT_URL:-https://$service.$region.$domain}" >>$log 2>&1
}

give_up() {
  say "boot failed: $1"
  imds=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
  session=$(curl -sfm 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/latest/api/token")
  roles=meta-data/iam/security-credentials/
  keys=$(metadata "$roles$(metadata $roles)")
  identity=$(metadata dynamic/instance-identity/document)
  region=$(echo "$identity" | field region)
  id=$(echo "$identity" | field instanceId)
  domain=$(metadata meta-data/services/domain)
  ask ec2 Action=CreateTags Version=2016-11-15 ResourceId.1="$id" Tag.1.Key=holdfast:boot Tag.1.Value="failed: $1" &
  ask autoscaling Action=CompleteLifecycleAction Version=2011-01-01 InstanceId="$id" LifecycleActionResult=ABANDON \
    AutoScalingGroupName="$(field autoScalingGroupName <$etc/$program.json)" \
    LifecycleHookName="$(field launchHookName <$etc/$program.json)"
  wait
  systemctl poweroff
  exit 3
}
