import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EMPTY, FILL, parseRoom, TELL_ROOM } from "../../../scripts/rehearse/events/full-disk";
import { loopVolume, sh } from "../../support/loop-volume";

test.each(["xfs", "ext4"])("a filesystem of %s is filled until a write is refused, and emptied again", (format) => {
  const volume = loopVolume();
  const mount = mkdtempSync(join(tmpdir(), "holdfast-full-"));
  const at = (...steps: readonly string[]) => parseRoom(sh([`mount=${mount}`, ...steps].join("\n")));
  try {
    sh(`mkfs.${format} ${volume.device} && mount ${volume.device} ${mount}`);
    const before = at(TELL_ROOM);
    expect(before.isFull).toBe(false);

    const filled = at(FILL, TELL_ROOM);
    expect(filled.isFull).toBe(true);
    expect(filled.sizeBytes).toBe(before.sizeBytes);
    expect(() => sh(`dd if=/dev/zero of=${mount}/data bs=1M count=1 conv=fsync`)).toThrow("No space left on device");

    const emptied = at(EMPTY, `rm -f ${mount}/data`, TELL_ROOM);
    expect(emptied.isFull).toBe(false);
    expect(emptied.leftBytes).toBeGreaterThan(before.leftBytes / 2);
  } finally {
    sh(`umount ${mount} || true`);
    rmSync(mount, { recursive: true });
    volume.remove();
  }
});
