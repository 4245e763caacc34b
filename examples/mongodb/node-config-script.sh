# MongoDB replica set. See README.md beside this file.

MEMBERS=/etc/holdfast/mongodb-members
KEY=/etc/holdfast/mongodb-key
DATA=/data/mongodb
SET=rs0

configure_cluster_node() {
  local node_ip=$2
  check_members "$1" "$2"
  [ -s "$KEY" ] || fail "$KEY is missing: name the key in node_secret_files, with owner mongodb and mode 0400"
  install -d -m 0750 -o mongodb -g mongodb "$DATA"
  cat >/etc/mongod.conf <<CONFIG
storage: { dbPath: $DATA }
net: { port: 27017, bindIp: "127.0.0.1,$node_ip" }
replication: { replSetName: $SET }
security: { keyFile: $KEY }
systemLog: { destination: syslog }
CONFIG

  # A reboot starts MongoDB only on its mounted data, and on its journal where that has a volume of its own.
  install -d /etc/systemd/system/mongod.service.d
  printf '[Unit]\nRequiresMountsFor=%s/journal\n' "$DATA" >/etc/systemd/system/mongod.service.d/data.conf
  systemctl daemon-reload
  systemctl enable mongod
  systemctl restart mongod
}

# Healthy: this member serves, one leads, and no more than a minority is missing. A new set is made by its first member, once every member
# answers and none has a set yet: a node that lost its volume never makes a second one.
wait_for_healthy_cluster() {
  local node_ip=$2 members first own state ip primaries serving fresh
  check_members "$1" "$2"
  members=$(wc -l <"$MEMBERS")
  first=$(awk 'NR == 1 { print $2 }' "$MEMBERS")
  while :; do
    own=$(state_of "$node_ip")
    primaries=0 serving=0 fresh=0
    while read -r _ ip; do
      state=$(state_of "$ip")
      case $state in
        primary) primaries=$((primaries + 1)) serving=$((serving + 1)) ;;
        secondary) serving=$((serving + 1)) ;;
        new) fresh=$((fresh + 1)) ;;
      esac
    done <"$MEMBERS"
    echo "this member: ${own:-no answer}; $serving of $members serve, $primaries lead, $fresh have no set yet"
    case $own in
      primary | secondary)
        if [ "$primaries" -eq 1 ] && [ "$serving" -gt $((members / 2)) ]; then return 0; fi
        ;;
      new)
        if [ "$fresh" -eq "$members" ] && [ "$node_ip" = "$first" ]; then
          mongo 127.0.0.1 "rs.initiate({ _id: '$SET', members: [$(awk '{ printf "{ _id: %d, host: \"%s:27017\" },", $1, $2 }' "$MEMBERS")] })" ||
            true
        elif [ "$primaries" -gt 0 ]; then
          echo "if the set does not take this member by itself, run on its primary: rs.add('$node_ip:27017')"
        fi
        ;;
    esac
    sleep 5
  done
}

# primary, secondary, new (has no set), other (starts, recovers), or nothing; hello needs no login.
state_of() {
  mongo "$1" 'const h = db.hello(); print(h.isWritablePrimary ? "primary" : h.secondary ? "secondary" : h.setName ? "other" : "new")' || true
}

mongo() {
  timeout 20 mongosh --quiet --norc "mongodb://$1:27017/?directConnection=true&serverSelectionTimeoutMS=3000" --eval "$2" </dev/null 2>/dev/null
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
