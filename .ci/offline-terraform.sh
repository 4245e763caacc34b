# Sourced: lets terraform run without a registry, from what is on this machine's disk.
#   . .ci/offline-terraform.sh
# Points TF_CLI_CONFIG_FILE at a mirror that holds the AWS provider, and serves hashicorp/null from ../shared/tools
# when it is there (TF_REATTACH_PROVIDERS). Does nothing where neither is found: terraform then asks its registry.
offline_dir=$(mktemp -d)

aws_provider=$(find / -xdev -type f -size +1M -name 'terraform-provider-aws_v5*' -path '*/registry.terraform.io/*' 2>/dev/null | head -n 1)
if [ -n "$aws_provider" ]; then
  # Terraform copies a provider's package at each init and hashes it at each command: of 700 MB, seconds. Of a line that
  # starts the program where it lies, nothing; the version is still chosen by the configuration's constraint.
  launcher="$offline_dir/mirror/registry.terraform.io/${aws_provider##*/registry.terraform.io/}"
  mkdir -p "${launcher%/*}"
  printf '#!/bin/sh\nexec "%s" "$@"\n' "$aws_provider" >"$launcher"
  chmod +x "$launcher"
  cat >"$offline_dir/terraformrc" <<RC
provider_installation {
  filesystem_mirror {
    path = "$offline_dir/mirror"
  }
}
RC
  export TF_CLI_CONFIG_FILE="$offline_dir/terraformrc"
  export CHECKPOINT_DISABLE=1 CDKTF_SKIP_PROVIDER_LOCK=1
fi

null_provider=../shared/tools/null-provider
if [ -d "$null_provider" ]; then
  cp -r "$null_provider" "$offline_dir/null-provider"
  (cd "$offline_dir/null-provider" && npm ci --ignore-scripts --silent)
  node "$offline_dir/null-provider/server.mjs" "$offline_dir/null.sock" >"$offline_dir/reattach.json" &
  null_provider_pid=$!
  for _ in $(seq 100); do
    [ -s "$offline_dir/reattach.json" ] && break
    sleep 0.1
  done
  # terraform watches the process behind a plugin, and takes pid 0 for one that has ended: a plan of more than a second is cancelled.
  TF_REATTACH_PROVIDERS=$(sed "s/\"Pid\":0/\"Pid\":$null_provider_pid/" "$offline_dir/reattach.json")
  export TF_REATTACH_PROVIDERS
fi

offline_terraform_stop() {
  [ -z "${null_provider_pid:-}" ] || kill "$null_provider_pid" 2>/dev/null || true
  rm -rf "$offline_dir"
}
