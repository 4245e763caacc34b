import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** A group of tests that needs more than Node.js, or takes long. */
export interface TestTier {
  /** Middle part of the file name: `<subject>.<name>.test.ts`. */
  readonly name: string;
  /** What the tier shows, for the line printed when it is skipped. */
  readonly proves: string;
  /** Commands that must be on PATH. */
  readonly commands: readonly string[];
  /** Files that must be there: libraries no command stands for. */
  readonly files?: readonly string[];
  /** The tests install packages that are not this project's. */
  readonly registry?: boolean;
  /** The tests change devices and mounts. */
  readonly asRoot?: boolean;
  /** What the tier shows, no version of the Node.js that runs it changes: machines, a browser or arithmetic do the work. */
  readonly anyNode?: boolean;
}

export const TEST_TIERS: readonly TestTier[] = [
  {
    name: "loop",
    proves: "real filesystems on loop devices",
    commands: [
      "losetup",
      "mkfs.ext4",
      "mkfs.xfs",
      "xfs_growfs",
      "mkfs.btrfs",
      "sfdisk",
      "pvcreate",
      "cryptsetup",
      "zpool",
      "zfs-fuse",
    ],
    asRoot: true,
    anyNode: true,
  },
  {
    name: "mariadb",
    proves: "connection tests of MySQL sources against a real server",
    commands: ["mariadbd", "mariadb-install-db", "my_print_defaults", "openssl"],
  },
  {
    name: "podman",
    proves: "user data under real systemd and cloud-init",
    commands: ["podman", "runc", "mmdebstrap", "ip", "iptables", "nsenter", "losetup", "flock"],
    asRoot: true,
    anyNode: true,
  },
  {
    name: "lab",
    proves: "clusters and fleets of real machines, applied by real terraform, under real systemd and cloud-init",
    commands: [
      "terraform",
      "moto_server",
      "podman",
      "runc",
      "mmdebstrap",
      "ip",
      "iptables",
      "nsenter",
      "losetup",
      "flock",
      "initdb",
      "postgres",
      "openssl",
    ],
    asRoot: true,
    anyNode: true,
  },
  {
    name: "terraform",
    proves: "real terraform and AWS provider against an emulated AWS",
    commands: ["terraform", "moto_server", "aws"],
  },
  {
    name: "patroni",
    proves: "real PostgreSQL servers under Patroni",
    commands: ["patroni", "etcd", "postgres", "pg_basebackup", "openssl"],
  },
  { name: "postgres", proves: "a real PostgreSQL server", commands: ["initdb", "postgres", "openssl"] },
  {
    name: "dump",
    proves: "that a dump of the control plane's database tells no secret",
    commands: ["initdb", "postgres", "openssl", "pg_dump"],
  },
  {
    name: "chromium",
    proves: "the status page in a real browser",
    commands: ["chromium", "initdb", "postgres", "openssl"],
    anyNode: true,
  },
  {
    name: "registry",
    proves: "what other queues do, as they are published",
    commands: ["initdb", "postgres", "openssl", "npm"],
    registry: true,
  },
  { name: "etcd", proves: "a real etcd cluster", commands: ["etcd", "openssl"] },
  {
    name: "zookeeper",
    proves: "a real ZooKeeper ensemble",
    commands: ["java", "openssl"],
    files: [
      "/usr/share/java/zookeeper.jar",
      "/usr/share/java/slf4j-simple.jar",
      "/usr/share/java/netty-codec.jar",
      "/usr/share/java/servlet-api.jar",
    ],
  },
  { name: "moto", proves: "the AWS SDK against an emulated AWS", commands: ["moto_server"] },
  { name: "perl", proves: "an agent's restart under a hundred daemons", commands: ["perl", "bash", "mkfifo"] },
  { name: "bash", proves: "a shell loop in the simulator's time", commands: ["bash"] },
  { name: "shellcheck", proves: "the examples' node config scripts", commands: ["shellcheck"] },
  {
    name: "simulation",
    proves: "leases and rolls in thousands of hours of a simulator's time",
    commands: [],
    anyNode: true,
  },
];

/**
 * Test files in turns: the first of every tier, the second of every tier and so on, and then those that need Node.js alone.
 * So the long ones start early, and those that run at the same time use different parts of the machine.
 */
export function inTurns<T extends { readonly path: string }>(files: readonly T[]): T[] {
  const tierOf = ({ path }: T) => TEST_TIERS.find(({ name }) => path.endsWith(`.${name}.test.ts`));
  const tiers = TEST_TIERS.map((tier) => files.filter((file) => tierOf(file) === tier));
  const turns = Math.max(...tiers.map(({ length }) => length));
  return [
    ...Array.from({ length: turns }, (_, turn) => tiers.flatMap((tier) => tier[turn] ?? [])).flat(),
    ...files.filter((file) => tierOf(file) === undefined),
  ];
}

/** The tier's commands that are not on PATH, its files that are not there, the npm registry, and the right to use them. */
export function missingCommands(tier: TestTier): string[] {
  const missing = [
    ...tier.commands.filter((command) => !onPath(command)),
    ...(tier.files ?? []).filter((file) => !existsSync(file)),
    ...(tier.registry && !registryAnswers() ? ["an npm registry that answers"] : []),
  ];
  return tier.asRoot && process.getuid?.() !== 0 ? [...missing, "root"] : missing;
}

function registryAnswers(): boolean {
  return (
    spawnSync("npm", ["view", "node", "version", "--fetch-retries=0", "--fetch-timeout=10000"], { stdio: "ignore" })
      .status === 0
  );
}

function onPath(command: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
