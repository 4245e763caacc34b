# ZooKeeper on Debian or Ubuntu (packages zookeeperd and netcat-openbsd in the image) with its data on /data.
# The file /etc/holdfast/zookeeper-ensemble, placed by Terraform, has one line "NODE_ID NODE_IP" per node.

ENSEMBLE=/etc/holdfast/zookeeper-ensemble
CONFIG=/etc/zookeeper/conf/zoo.cfg

# Node ids are numbers such as 00; ZooKeeper counts servers from 1. A number does not depend on which other nodes there are.
check_ensemble() {
  awk -v id="$1" -v ip="$2" '
    NF != 2 || $1 !~ /^[0-9]+$/ || $1 > 254 || $2 !~ /^[0-9.]+$/ || seen[$1 + 0 "n"]++ || seen[$2]++ { bad = NR }
    $1 == id && $2 == ip { found = 1 }
    END { exit bad || !found }' "$ENSEMBLE" || {
    echo "$ENSEMBLE should have one line NODE_ID NODE_IP per node, each once, and one of them $1 $2" >&2
    exit 1
  }
}

# What a server says about itself: leader, follower, or nothing while it has no quorum.
server_mode() {
  echo srvr | timeout 3 nc -w 2 "$1" 2181 2>/dev/null | awk '/^Mode:/ { print $2 }'
}

configure_cluster_node() {
  check_ensemble "$1" "$2"
  install -d -o zookeeper -g zookeeper /data/zookeeper
  echo $((10#$1 + 1)) >/data/zookeeper/myid
  {
    echo "dataDir=/data/zookeeper"
    echo "clientPort=2181"
    echo "tickTime=2000"
    echo "initLimit=30"
    echo "syncLimit=5"
    echo "autopurge.snapRetainCount=5"
    echo "autopurge.purgeInterval=6"
    echo "4lw.commands.whitelist=srvr,ruok,mntr"
    awk '{ print "server." $1 + 1 "=" $2 ":2888:3888" }' "$ENSEMBLE"
  } >"$CONFIG"

  # The package names no library for the log that it configures.
  echo "CLASSPATH=\$CLASSPATH:/usr/share/java/slf4j-log4j12.jar:/usr/share/java/log4j-1.2.jar" >/etc/default/zookeeper

  # A reboot starts ZooKeeper only on its mounted data.
  install -d /etc/systemd/system/zookeeper.service.d
  printf '[Unit]\nRequiresMountsFor=/data\n' >/etc/systemd/system/zookeeper.service.d/data.conf
  systemctl daemon-reload
  systemctl enable zookeeper
  systemctl restart zookeeper
}

# Healthy: this node serves as part of a quorum, exactly one member leads, and no more than a minority is missing.
wait_for_healthy_cluster() {
  local own leaders serving members ip mode
  members=$(wc -l <"$ENSEMBLE")
  while :; do
    own=$(server_mode 127.0.0.1)
    leaders=0
    serving=0
    while read -r _ ip; do
      mode=$(server_mode "$ip")
      if [ -n "$mode" ]; then serving=$((serving + 1)); fi
      if [ "$mode" = leader ]; then leaders=$((leaders + 1)); fi
    done <"$ENSEMBLE"
    echo "this node: ${own:-not serving}; $serving of $members serve, $leaders lead"
    if [ -n "$own" ] && [ "$leaders" -eq 1 ] && [ "$serving" -gt $((members / 2)) ]; then
      return 0
    fi
    sleep 5
  done
}
