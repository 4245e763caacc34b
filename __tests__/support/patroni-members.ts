import { execFileSync } from "node:child_process";
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  mkdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from "node:fs";
import { basename, delimiter, dirname, join } from "node:path";
import type { MemberProgram } from "../../scripts/rolling-update/simulator/member-process";
import type { Authority } from "./certificates";
import type { Place } from "./running-cluster";

/** PostgreSQL does not run as root. */
function owner(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** Folder of PostgreSQL's programs; those that are not for users are only there. */
function postgresPrograms(): string {
  const found = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "postgres"));
  const postgres = found.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (postgres === undefined) throw new Error("there is no postgres on PATH");
  return dirname(realpathSync(postgres));
}

/**
 * One PostgreSQL under Patroni, which keeps its agreement in the etcd at `store`.
 * @param authority of those who may ask its REST API, and of the API itself; absent: it speaks HTTP with anybody
 */
export function patroniMember(
  { addresses, ports, directory }: Place,
  index: number,
  store: string,
  authority?: Authority,
): MemberProgram {
  const [restPort, postgresPort] = ports;
  const user = owner();
  const home = `${directory}/postgres-${index}`;
  const data = `${home}/data`;
  const address = addresses[index] ?? "";
  const listen = (port: number | undefined) => ({
    listen: `${address}:${port}`,
    connect_address: `${address}:${port}`,
  });
  chmodSync(directory, 0o755);
  mkdirSync(home, { recursive: true });
  const settings = {
    scope: basename(directory),
    name: `member-${index}`,
    restapi: { ...listen(restPort), ...(authority && guarded(authority, `member-${index}`, address)) },
    etcd3: { hosts: store },
    bootstrap: {
      dcs: {
        loop_wait: 1,
        ttl: 90,
        retry_timeout: 30,
        postgresql: { use_pg_rewind: true, parameters: { shared_buffers: "16MB", fsync: "off", max_connections: 20 } },
      },
      initdb: [{ encoding: "UTF8" }, { locale: "C" }, "no-sync"],
    },
    postgresql: {
      ...listen(postgresPort),
      data_dir: data,
      bin_dir: postgresPrograms(),
      pgpass: `${home}/pgpass`,
      pg_hba: ["local all all trust", "host all all 127.0.0.0/8 trust", "host replication all 127.0.0.0/8 trust"],
      parameters: { unix_socket_directories: home },
      authentication: { superuser: { username: "postgres" }, replication: { username: "replicator" } },
    },
  };
  // JSON is YAML.
  writeFileSync(`${home}/patroni.yml`, JSON.stringify(settings));
  if (user.uid !== undefined && user.gid !== undefined) chownSync(home, user.uid, user.gid);
  return {
    command: "patroni",
    args: [`${home}/patroni.yml`],
    ...user,
    afterKill: () => killServer(data),
  };
}

/** https://patroni.readthedocs.io/en/latest/yaml_configuration.html#rest-api */
function guarded(authority: Authority, name: string, address: string) {
  const { certificate, key } = authority.issue(name, [address]);
  return { certfile: certificate, keyfile: key, cafile: authority.ca, verify_client: "required" };
}

/** A machine that is lost takes the server along that Patroni leaves running when it is killed. */
function killServer(data: string): void {
  try {
    const [pid = ""] = readFileSync(`${data}/postmaster.pid`, "utf8").split("\n");
    const isOurs = readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(data);
    if (isOurs) process.kill(Number(pid), "SIGKILL");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ESRCH") throw error;
  }
}
