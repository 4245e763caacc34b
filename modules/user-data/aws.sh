# Calls of AWS with nothing but curl (7.75 or later), for when Node.js or the program cannot run. Goes to /opt/holdfast/aws.sh.

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
    curl -sSfm 4 -K - --aws-sigv4 "aws:amz:$region:$service" "$@" "${AWS_ENDPOINT_URL:-https://$service.$region.$domain}"
}

# Who this instance is, and the keys of its role: needed before ask, and again when the keys are hours old.
identify() {
  imds=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
  session=$(curl -sfm 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/latest/api/token")
  roles=meta-data/iam/security-credentials/
  keys=$(metadata "$roles$(metadata $roles)")
  identity=$(metadata dynamic/instance-identity/document)
  region=$(echo "$identity" | field region)
  id=$(echo "$identity" | field instanceId)
  domain=$(metadata meta-data/services/domain)
}
