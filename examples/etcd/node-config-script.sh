# etcd on Debian or Ubuntu (packages etcd-server and etcd-client in the image) with its data on /data.
# The file /etc/holdfast/etcd-members, placed by Terraform, has one line "NODE_ID NODE_IP" per node.

MEMBERS=/etc/holdfast/etcd-members

configure_cluster_node() {
  local node_id=$1 node_ip=$2 initial state
  awk -v id="$1" -v ip="$2" '
    NF != 2 || $1 ~ /[^A-Za-z0-9_-]/ || $2 !~ /^[0-9.]+$/ || seen[$1 "n"]++ || seen[$2]++ { bad = NR }
    $1 == id && $2 == ip { found = 1 }
    END { exit bad || !found }' "$MEMBERS" || {
    echo "$MEMBERS should have one line NODE_ID NODE_IP per node, each once, and one of them $1 $2" >&2
    return 1
  }
  initial=$(awk '{ printf "%snode-%s=http://%s:2380", (NR > 1 ? "," : ""), $1, $2 }' "$MEMBERS")
  # A node that comes back with its data is the member it was.
  if [ -d /data/etcd/member ]; then state=existing; else state=new; fi
  install -d -m 0700 -o etcd -g etcd /data/etcd
  cat >/etc/default/etcd <<CONFIG
ETCD_NAME=node-$node_id
ETCD_DATA_DIR=/data/etcd
ETCD_LISTEN_PEER_URLS=http://$node_ip:2380
ETCD_LISTEN_CLIENT_URLS=http://$node_ip:2379,http://127.0.0.1:2379
ETCD_INITIAL_ADVERTISE_PEER_URLS=http://$node_ip:2380
ETCD_ADVERTISE_CLIENT_URLS=http://$node_ip:2379
ETCD_INITIAL_CLUSTER=$initial
ETCD_INITIAL_CLUSTER_STATE=$state
ETCD_STRICT_RECONFIG_CHECK=true
CONFIG

  # A reboot starts etcd only on its mounted data.
  install -d /etc/systemd/system/etcd.service.d
  printf '[Unit]\nRequiresMountsFor=/data\n' >/etc/systemd/system/etcd.service.d/data.conf
  systemctl daemon-reload
  systemctl enable etcd
  # The first members of a new cluster wait for each other: etcd is up only once there is a quorum.
  systemctl restart --no-block etcd
}

# Healthy: this member commits a proposal (a linearizable read through a leader), and so does a majority.
wait_for_healthy_cluster() {
  local members healthy ip
  export ETCDCTL_API=3
  members=$(wc -l <"$MEMBERS")
  while :; do
    healthy=0
    while read -r _ ip; do
      if etcdctl --endpoints="http://$ip:2379" --command-timeout=3s endpoint health >/dev/null 2>&1; then
        healthy=$((healthy + 1))
      fi
    done <"$MEMBERS"
    if etcdctl --endpoints=http://127.0.0.1:2379 --command-timeout=3s endpoint health && [ "$healthy" -gt $((members / 2)) ]; then
      echo "$healthy of $members members are healthy"
      return 0
    fi
    echo "this member is not healthy yet, or no majority is: $healthy of $members"
    sleep 5
  done
}
