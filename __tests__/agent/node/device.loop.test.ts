import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findDevice } from "../../../agent/node/volume/device";
import { type LoopVolume, loopVolume } from "../../support/loop-volume";

const VOLUME_ID = "vol-0123456789abcdef0";
const SERIAL = "vol0123456789abcdef0";
const GIB = 1024 ** 3;

let volume: LoopVolume;
let folder: string;
let tree: { readonly dev: string; readonly sys: string };

beforeEach(() => {
  volume = loopVolume({ visible: false });
  folder = mkdtempSync(join(tmpdir(), "holdfast-tree-"));
  tree = { dev: join(folder, "dev"), sys: join(folder, "sys") };
  mkdirSync(join(tree.dev, "disk/by-id"), { recursive: true });
  mkdirSync(tree.sys);
});
afterEach(() => {
  volume.remove();
  rmSync(folder, { recursive: true });
});

/** A disk as the kernel shows it: a node in /dev and its controller's description in /sys. */
function nvmeDisk(name: string, serial: string, model = "Amazon Elastic Block Store", device = volume.device) {
  symlinkSync(device, join(tree.dev, name));
  mkdirSync(join(tree.sys, name, "device"), { recursive: true });
  writeFileSync(join(tree.sys, name, "device/serial"), `${serial}\n`);
  writeFileSync(join(tree.sys, name, "device/model"), `${model.padEnd(40)}\n`);
}
const udevLink = (serial: string, device = volume.device) =>
  symlinkSync(device, join(tree.dev, `disk/by-id/nvme-Amazon_Elastic_Block_Store_${serial}`));
const find = (deviceName = "/dev/sdf", sizeGiB = volume.sizeGiB) =>
  findDevice({ volumeId: VOLUME_ID, sizeGiB }, deviceName, tree);

describe("mount_volume.sh L17-26: on NVMe a volume is found by its id, on any distribution", () => {
  test("through udev's link", async () => {
    udevLink(SERIAL);

    expect(await find()).toBe(volume.device);
  });

  test("through the controller's serial number where udev makes no links", async () => {
    nvmeDisk("nvme0n1", "vol00000000000000000", undefined, "/dev/null");
    nvmeDisk("nvme1n1", SERIAL);

    expect(await find()).toBe(volume.device);
  });

  test("and by nothing else: a disk under the attached name is another volume's", async () => {
    nvmeDisk("nvme0n1", "vol00000000000000000");
    symlinkSync(volume.device, join(tree.dev, "sdf"));
    symlinkSync(volume.device, join(tree.dev, "xvdf"));

    expect(await find()).toBeUndefined();
  });

  test("and an instance store disk is never taken for it", async () => {
    nvmeDisk("nvme1n1", SERIAL, "Amazon EC2 NVMe Instance Storage");

    expect(await find()).toBeUndefined();
  });

  test("until then not at all", async () => {
    expect(await find()).toBeUndefined();
  });
});

describe("mount_volume.sh L13: on Xen a volume is found by the name it was attached under", () => {
  test.each([
    ["/dev/sdf", "sdf"],
    ["/dev/sdf", "xvdf"],
    ["/dev/xvdf", "xvdf"],
    ["/dev/xvdba", "xvdba"],
  ])("%s as %s", async (attachedAs, shownAs) => {
    symlinkSync(volume.device, join(tree.dev, shownAs));

    expect(await find(attachedAs)).toBe(volume.device);
  });

  test("if its size is that of the volume", async () => {
    symlinkSync(volume.device, join(tree.dev, "xvdf"));

    expect(await find("/dev/sdf", 16)).toBeUndefined();
    expect(volume.sizeGiB * GIB).not.toBe(16 * GIB);
  });

  test("if it is a block device", async () => {
    writeFileSync(join(tree.dev, "xvdf"), Buffer.alloc(volume.sizeGiB * GIB));

    expect(await find()).toBeUndefined();
  });
});
