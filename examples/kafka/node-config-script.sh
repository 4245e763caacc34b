# Kafka in KRaft mode: every node is broker and controller. See README.md beside this file.

MEMBERS=/etc/holdfast/kafka-members
CLUSTER_ID=/etc/holdfast/kafka-cluster-id
CONFIG=/etc/holdfast/kafka.properties
DATA=/data/kafka
BIN=/opt/kafka/bin

configure_cluster_node() {
  local node_ip=$2 number cluster voters members copies
  check_members "$1" "$2"
  number=$((10#$1))
  cluster=$(grep -xE '[A-Za-z0-9_-]{22}' "$CLUSTER_ID") ||
    fail "$CLUSTER_ID should hold what kafka-storage.sh random-uuid prints"
  voters=$(awk '{ printf "%s%d@%s:9093", (NR > 1 ? "," : ""), $1, $2 }' "$MEMBERS")
  members=$(wc -l <"$MEMBERS")
  copies=$((members < 3 ? members : 3))
  cat >"$CONFIG" <<CONFIG
process.roles=broker,controller
node.id=$number
controller.quorum.voters=$voters
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://$node_ip:9092,CONTROLLER://$node_ip:9093
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$DATA
default.replication.factor=$copies
offsets.topic.replication.factor=$copies
transaction.state.log.replication.factor=$copies
min.insync.replicas=$(((copies + 1) / 2))
transaction.state.log.min.isr=$(((copies + 1) / 2))
CONFIG

  install -d -m 0750 -o kafka -g kafka "$DATA"
  # Formatting names the directory's cluster and node; a node that comes back keeps both.
  if [ -e "$DATA/meta.properties" ]; then
    [ "$(grep -cxE "cluster.id=$cluster|node.id=$number" "$DATA/meta.properties")" = 2 ] ||
      fail "$DATA belongs to another cluster or node: $(tr '\n' ' ' <"$DATA/meta.properties")"
  else
    [ ! -e "$DATA/__cluster_metadata-0" ] || fail "$DATA holds data but no meta.properties: restore it from a snapshot"
    runuser -u kafka -- "$BIN/kafka-storage.sh" format --cluster-id "$cluster" --config "$CONFIG"
  fi

  cat >/etc/systemd/system/kafka.service <<UNIT
[Unit]
After=network-online.target
RequiresMountsFor=$DATA
[Service]
User=kafka
ExecStart=$BIN/kafka-server-start.sh $CONFIG
Restart=on-failure
SuccessExitStatus=143
LimitNOFILE=100000
TimeoutStopSec=180
[Install]
WantedBy=multi-user.target
UNIT
  systemctl daemon-reload
  systemctl enable kafka
  systemctl restart kafka
}

# Healthy: one controller leads, a majority of them keeps up with it, no partition lacks copies to be written to, and this node has
# caught up on every partition that it keeps.
wait_for_healthy_cluster() {
  local server=$2:9092 number members quorum voters leaders short behind
  check_members "$1" "$2"
  number=$((10#$1))
  members=$(wc -l <"$MEMBERS")
  while :; do
    if quorum=$(kafka metadata-quorum describe --replication) &&
      short=$(kafka topics --describe --under-min-isr-partitions) &&
      behind=$(kafka topics --describe --under-replicated-partitions); then
      read -r voters leaders < <(awk '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == "Lag") lag = i }
        $NF == "Leader" { leaders++ }
        $NF ~ /^(Leader|Follower)$/ && $lag < 100 { voters++ }
        END { print voters + 0, leaders + 0 }' <<<"$quorum")
      short=$(grep -c Partition: <<<"$short" || true)
      behind=$(awk -v me="$number" '
        { kept = synced = ""; for (i = 1; i < NF; i++) { if ($i == "Replicas:") kept = $(i + 1); if ($i == "Isr:") synced = $(i + 1) } }
        ("," kept ",") ~ ("," me ",") && ("," synced ",") !~ ("," me ",") { behind++ }
        END { print behind + 0 }' <<<"$behind")
      echo "$voters of $members controllers keep up, $leaders lead; $short partitions lack copies, $behind are behind here"
      if [ "$leaders" -eq 1 ] && [ "$voters" -gt $((members / 2)) ] && [ "$short$behind" = 00 ]; then
        return 0
      fi
    else
      echo "the broker at $server does not answer yet: $(systemctl is-active kafka)"
    fi
    sleep 5
  done
}

kafka() {
  timeout 60 "$BIN/kafka-$1.sh" --bootstrap-server "$server" "${@:2}" 2>/dev/null
}

# The file, placed by Terraform, has one line "NODE_ID NODE_IP" per node; node ids are numbers such as 00.
check_members() {
  awk -v id="$1" -v ip="$2" '
    NF != 2 || $1 !~ /^[0-9]+$/ || $2 !~ /^[0-9.]+$/ || seen[$1 + 0 "n"]++ || seen[$2]++ { bad = NR }
    $1 == id && $2 == ip { found = 1 }
    END { exit bad || !found }' "$MEMBERS" ||
    fail "$MEMBERS should have one line NODE_ID NODE_IP per node, each once, and one of them $1 $2"
}

fail() {
  echo "$1" >&2
  exit 1
}
