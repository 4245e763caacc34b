import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Aws } from "../../../agent/host/aws";
import { createLog } from "../../../agent/host/log";
import type { DataLayout } from "../../../agent/node/configuration";
import { inspectDevice } from "../../../agent/node/disk/contents";
import { formatBlank } from "../../../agent/node/disk/format";
import { mountAt } from "../../../agent/node/disk/mount";
import { prepareFilesystem } from "../../../agent/node/prepare-filesystem";
import { type LoopVolume, loopVolume, sh } from "../../support/loop-volume";

jest.setTimeout(60_000);

const volumes: LoopVolume[] = [];
const folders: string[] = [];
const newVolume = (...options: Parameters<typeof loopVolume>) => {
  const volume = loopVolume(...options);
  volumes.push(volume);
  return volume;
};
afterEach(() => {
  for (const volume of volumes.splice(0)) volume.remove();
  for (const folder of folders.splice(0)) {
    sh(`chattr -f -R -i '${folder}'`);
    rmSync(folder, { recursive: true });
  }
});

/** Brings the volume up as a node does, with what EC2 would say about it. */
async function prepare(
  volume: LoopVolume,
  {
    format = "ext4" as DataLayout["format"],
    options = [] as string[],
    tags = {} as Record<string, string>,
    snapshotId = undefined as string | undefined,
    patienceMs = 20_000,
    path = mountPoint(),
    user = "root",
  } = {},
) {
  const logged: string[] = [];
  const tagged: Record<string, string> = {};
  const aws: Aws = {
    region: "us-east-1",
    getObject: () => Promise.reject(new Error("not asked for")),
    call: async (_service, action, params = {}) => {
      expect(action).toBe("CreateTags");
      const [tag] = params["Tag"] as unknown as [{ Key: string; Value: string }];
      expect(params["ResourceId"]).toEqual([volume.volumeId]);
      tagged[tag.Key] = tag.Value;
      return {};
    },
  };
  const device = await prepareFilesystem(
    aws,
    {
      volume: {
        volumeId: volume.volumeId,
        sizeGiB: volume.sizeGiB,
        state: "in-use",
        availabilityZone: "us-east-1a",
        snapshotId,
        tags,
        attachments: [],
      },
      deviceName: "/dev/sdf",
    },
    { layout: "filesystem", volume: "data", format, path, options, user, group: "root" },
    "data volume",
    createLog((line) => logged.push(line)),
    AbortSignal.timeout(patienceMs),
    60_000,
  );
  return { device, path, tagged, logged, umount: () => sh(`umount '${path}'`) };
}

function mountPoint(): string {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-mount-"));
  folders.push(folder);
  return join(folder, "data");
}

/** A device with a filesystem of this type that holds a file of random bytes. */
function withData(volume: LoopVolume, mkfs: string): Buffer {
  const data = randomBytes(3_000_000);
  const folder = mkdtempSync(join(tmpdir(), "holdfast-fill-"));
  sh(`${mkfs} ${volume.device}; mount ${volume.device} '${folder}'`);
  writeFileSync(join(folder, "records"), data);
  sh(`umount '${folder}'; rmdir '${folder}'`);
  return data;
}

const uuidOf = (volume: LoopVolume) => sh(`blkid -p -s UUID -o value ${volume.device}`).trim();

describe("a fresh volume", () => {
  test.each(["ext4", "xfs"] as const)("is formatted once as %s, tagged with its UUID, and keeps it", async (format) => {
    const volume = newVolume();

    const first = await prepare(volume, { format });
    const uuid = uuidOf(volume);
    writeFileSync(join(first.path, "records"), "kept");
    const again = await prepare(volume, { format, path: first.path });
    first.umount();
    const nextInstance = await prepare(volume, { format, tags: first.tagged });

    expect(first.tagged).toEqual({ "holdfast:initialised": uuid });
    expect(again.device).toBe(first.device);
    expect(uuidOf(volume)).toBe(uuid);
    expect((await mountAt(nextInstance.path))?.type).toBe(format);
    expect(readFileSync(join(nextInstance.path, "records"), "utf8")).toBe("kept");
  });

  test("that is only seen late is waited for", async () => {
    const volume = newVolume({ visible: false });
    setTimeout(volume.appear, 700);

    const { path } = await prepare(volume);

    expect((await mountAt(path))?.type).toBe("ext4");
  });

  test("mount_volume.sh L17-26, L53-59, L76-82: that never appears ends the wait with its id", async () => {
    const volume = newVolume({ visible: false });

    await expect(prepare(volume, { patienceMs: 600 })).rejects.toMatchObject({
      code: "device-never-appeared",
      message: expect.stringContaining(volume.volumeId),
    });
  });

  test("mount_volume.sh L28-39: is not formatted while it is tagged as initialised", async () => {
    const volume = newVolume();
    const before = volume.digest();

    await expect(prepare(volume, { tags: { "holdfast:initialised": "some-uuid" } })).rejects.toMatchObject({
      code: "initialised-volume-is-blank",
    });

    expect(volume.digest()).toBe(before);
  });

  test("mount_volume.sh L28-39: is not formatted if it was made from a snapshot", async () => {
    const volume = newVolume();
    const before = volume.digest();

    await expect(prepare(volume, { snapshotId: "snap-0123" })).rejects.toMatchObject({
      code: "restored-volume-is-blank",
    });

    expect(volume.digest()).toBe(before);
  });
});

describe("a volume with a filesystem", () => {
  test.each([
    ["ext4", "mkfs.ext4 -q"],
    ["xfs", "mkfs.xfs -q"],
    ["ext3", "mkfs.ext3 -q"],
  ])("mount_volume.sh L65: of type %s is mounted as it is, whatever is configured", async (type, mkfs) => {
    const volume = newVolume();
    const data = withData(volume, mkfs);
    const uuid = uuidOf(volume);

    const { path, tagged, logged } = await prepare(volume, { format: type === "xfs" ? "ext4" : "xfs" });

    expect((await mountAt(path))?.type).toBe(type);
    expect(readFileSync(join(path, "records")).equals(data)).toBe(true);
    expect(uuidOf(volume)).toBe(uuid);
    expect(tagged).toEqual({ "holdfast:initialised": uuid });
    expect(logged.join("")).toContain("the volume keeps the filesystem it has");
  });

  test.each([
    ["ext4", "mkfs.ext4 -q", mayResizeExt4()],
    ["xfs", "mkfs.xfs -q", true],
  ])("of type %s grows with its volume and keeps its data", async (type, mkfs, mayGrow) => {
    const volume = newVolume();
    const data = withData(volume, mkfs);
    volume.grow(1);

    const { path, logged } = await prepare({ ...volume, sizeGiB: 1 });

    const { blocks, bsize } = statfsSync(path);
    expect((blocks * bsize) / 1024 ** 3 > 0.85).toBe(mayGrow);
    expect(logged.join("").includes("the filesystem keeps its size")).toBe(!mayGrow);
    expect((await mountAt(path))?.type).toBe(type);
    expect(readFileSync(join(path, "records")).equals(data)).toBe(true);
  });

  test("mount_volume.sh L65: is mounted with its options, without a trailing comma when there are none", async () => {
    const volume = newVolume();

    const { path, umount } = await prepare(volume, { options: ["noatime", "nodev"] });
    expect(sh(`findmnt --noheadings --output OPTIONS '${path}'`)).toMatch(/noatime/);
    umount();
    const plain = await prepare(volume, { options: [] });

    expect(sh(`findmnt --noheadings --output OPTIONS '${plain.path}'`)).not.toMatch(/noatime/);
  });

  test("mount_volume.sh L118: is walked for its owner only if its root belongs to someone else", async () => {
    const volume = newVolume();
    const { path } = await prepare(volume);
    writeFileSync(join(path, "records"), "");
    const ownerOf = (name: string) => sh(`stat --format=%U '${join(path, name)}'`).trim();

    await prepare(volume, { path, user: "nobody" });
    expect([ownerOf("."), ownerOf("records")]).toEqual(["nobody", "nobody"]);
    sh(`chown daemon '${join(path, "records")}'`);
    await prepare(volume, { path, user: "nobody" });
    expect(ownerOf("records")).toBe("daemon");
    const { logged } = await prepare(volume, { path, user: "no-such-user" });
    expect(logged.join("")).toContain("owner of the data volume does not exist here");
  });

  test("mount_volume.sh L118: whose owner cannot be changed stops the boot, and says where", async () => {
    const volume = newVolume();
    const { path } = await prepare(volume);
    writeFileSync(join(path, "records"), "");
    sh(`chattr +i '${join(path, "records")}'`);

    await expect(prepare(volume, { path, user: "nobody" })).rejects.toThrow(/records.*Operation not permitted/s);
  });

  test("that is mounted elsewhere is not mounted a second time", async () => {
    const volume = newVolume();
    const { path } = await prepare(volume);

    await expect(prepare(volume, { patienceMs: 600 })).rejects.toMatchObject({
      code: "device-busy",
      message: expect.stringContaining(path),
    });
  });

  test("does not hide behind another filesystem at the same path", async () => {
    const [mine, other] = [newVolume(), newVolume()];
    const { path } = await prepare(other);

    await expect(prepare(mine, { path })).rejects.toMatchObject({ code: "mount-path-taken" });
  });

  test("mount_volume.sh L65: leaves a path that nothing can be written to while it is not mounted", async () => {
    const volume = newVolume();
    const { path, umount } = await prepare(volume);
    umount();

    expect(() => writeFileSync(join(path, "stray"), "on the root disk")).toThrow(/EPERM|operation not permitted/);
  });

  test("that only comes up read-only stops the boot", async () => {
    const volume = newVolume();
    withData(volume, "mkfs.ext4 -q");
    sh(`blockdev --setro ${volume.device}`);

    await expect(prepare(volume)).rejects.toMatchObject({ code: "mounted-read-only" });
  });
});

describe("mount_volume.sh L28-39: what is on the disk and no filesystem of ours is refused, byte for byte unchanged:", () => {
  const partitioned = (label: string) => (volume: LoopVolume) =>
    void sh(`sfdisk --quiet ${volume.device} 2>/dev/null`, Buffer.from(`label: ${label}\nsize=100M\n`));

  test.each<[string, string, (volume: LoopVolume) => void]>([
    ["GPT partitions", "gpt partition table", partitioned("gpt")],
    ["MBR partitions", "dos partition table", partitioned("dos")],
    ["LVM", "LVM2_member", ({ device }) => void sh(`pvcreate --quiet --driverloaded n ${device}`)],
    ["mdraid", "linux_raid_member", writeRaidSuperblock],
    ["ZFS", "zfs_member", makePool],
    ["LUKS", "crypto_LUKS", ({ device }) => void sh(`${LUKS_FORMAT} ${device} -`, Buffer.from("passphrase"))],
    ["swap", "swap", ({ device }) => void sh(`mkswap ${device}`)],
    ["btrfs", "btrfs", ({ device }) => void sh(`mkfs.btrfs --quiet ${device}`)],
    [
      "two filesystems at once",
      "several signatures",
      ({ device }) => {
        sh(`mkfs.xfs -q ${device}; dd if=${device} of=/dev/stdout bs=4k count=1 status=none > /tmp/holdfast-xfs.$$
            wipefs --quiet --all ${device}; mkfs.ext4 -q -E nodiscard ${device}
            dd if=/tmp/holdfast-xfs.$$ of=${device} bs=512 count=1 conv=notrunc status=none; rm /tmp/holdfast-xfs.$$`);
      },
    ],
    ["records at the start", "unknown format at byte 0", ({ device }) => writeAt(device, 0)],
    ["records in the first megabyte", "unknown format at byte 999424", ({ device }) => writeAt(device, 999_424)],
    [
      "records at the very end",
      "unknown format at byte 335544316",
      ({ device }) => writeAt(device, 320 * 1024 ** 2 - 4),
    ],
  ])("%s", async (_name, said, make) => {
    const volume = newVolume();
    make(volume);
    const before = volume.digest();

    await expect(prepare(volume)).rejects.toMatchObject({
      code: "volume-holds-other-data",
      message: expect.stringContaining(said),
    });

    expect(volume.digest()).toBe(before);
  });
});

test("mount_volume.sh L28-39: an unreadable device is an error, though blkid finds it empty", async () => {
  const volume = newVolume();
  withData(volume, "mkfs.ext4 -q");
  volume.breakReads();

  expect(sh(`blkid -p ${volume.device} || echo status $?`)).toBe("status 2\n");
  await expect(prepare(volume)).rejects.toMatchObject({ code: "volume-unreadable" });
});

describe("formatting", () => {
  test("mount_volume.sh L28-39: looks once more under the device's lock: what became a filesystem meanwhile is not formatted", async () => {
    const volume = newVolume();
    expect(await inspectDevice(volume.device)).toEqual({ kind: "blank" });
    withData(volume, "mkfs.ext4 -q");
    const before = volume.digest();

    await expect(formatBlank(volume.device, "ext4", 10_000)).rejects.toThrow("no longer blank");

    expect(volume.digest()).toBe(before);
  });

  test("waits for a format that outlived its agent and uses what it made", async () => {
    const volume = newVolume();
    const holder = sh(
      `flock --exclusive ${volume.device} bash -c 'sleep 1; mkfs.ext4 -q ${volume.device}' >/dev/null 2>&1 & echo $!`,
    );
    expect(Number(holder)).toBeGreaterThan(0);
    sh(`until ! flock --nonblock ${volume.device} true; do sleep 0.02; done`);

    await expect(formatBlank(volume.device, "ext4", 10_000)).rejects.toThrow("no longer blank");
    const uuid = uuidOf(volume);
    const { tagged } = await prepare(volume);

    expect(tagged).toEqual({ "holdfast:initialised": uuid });
  });
});

/** Linux lets only CAP_SYS_RESOURCE (bit 24) resize a mounted ext4; root in a container may lack it, root on an instance does not. */
function mayResizeExt4(): boolean {
  const [, capabilities = "0"] = /^CapEff:\s*(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return ((BigInt(`0x${capabilities}`) >> 24n) & 1n) === 1n;
}

const LUKS_FORMAT = "cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000";

function writeAt(device: string, offset: number): void {
  sh(`printf DATA | dd of=${device} bs=1 seek=${offset} conv=notrunc status=none; blockdev --flushbufs ${device}`);
}

/** mdadm needs the md driver to make an array; this is a version 1.2 superblock as it writes one, see md_p.h of Linux. */
function writeRaidSuperblock({ device }: LoopVolume): void {
  const superblock = Buffer.alloc(4096);
  superblock.writeUInt32LE(0xa92b4efc, 0);
  superblock.writeUInt32LE(1, 4);
  randomBytes(16).copy(superblock, 16);
  superblock.write("ip-10-0-0-1:data", 32);
  superblock.writeBigUInt64LE(8n, 144);
  sh(`dd of=${device} bs=4096 seek=1 conv=notrunc status=none; blockdev --flushbufs ${device}`, superblock);
}

/** A real pool, made by the userspace ZFS. */
function makePool({ device }: LoopVolume): void {
  sh(`zfs-fuse --no-daemon >/dev/null 2>&1 & daemon=$!
      trap 'kill $daemon; wait $daemon || true' EXIT
      pool=holdfast$$
      for attempt in $(seq 50); do zpool create -f -m none $pool ${device} 2>/dev/null && break; sleep 0.1; done
      zpool export $pool`);
}
