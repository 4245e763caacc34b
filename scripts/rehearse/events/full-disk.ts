/** Finds where the node's first data volume is mounted: a container has no udev, and so may lack the first way. */
export const DATA_MOUNT = [
  "mount=$(findmnt --noheadings --output TARGET --source /dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol* | head -n 1)",
  '[ -n "$mount" ] || mount=$(awk \'$1 ~ "^/dev/(nvme|disk)" { print $2; exit }\' /proc/mounts)',
  '[ -n "$mount" ] || { echo "no data volume is mounted" >&2; exit 1; }',
].join("\n");

/** What lies on a filesystem only to fill it. */
const FILLER = "holdfast-rehearsal-fill";

/** Takes all that is left of the filesystem at `$mount`: at once what can be reserved, and the rest by writing until it is refused. */
export const FILL = [
  `file="$mount/${FILLER}"`,
  'left=$(df --output=avail --block-size=1 "$mount" | tail -n 1)',
  'fallocate --length "$left" "$file" 2>/dev/null || true',
  'dd if=/dev/zero of="$file" bs=64K oflag=append conv=notrunc,fsync 2>/dev/null || true',
].join("\n");

/** Tells whether a write of 64 KiB to the filesystem at `$mount` is refused for want of room, and what `df` has left of it. */
export const TELL_ROOM = [
  `probe="$mount/${FILLER}-probe"`,
  'if dd if=/dev/zero of="$probe" bs=64K count=1 conv=fsync 2>/dev/null; then says=room; else says=full; fi',
  'rm -f "$probe"',
  'echo "$says $(df --output=avail,size --block-size=1 "$mount" | tail -n 1)"',
].join("\n");

/** Gives back what {@link FILL} took. */
export const EMPTY = `rm -f "$mount/${FILLER}"`;

/** What a filesystem has left. */
export interface Room {
  readonly isFull: boolean;
  readonly leftBytes: number;
  readonly sizeBytes: number;
}

/** @throws Error where it is not what {@link TELL_ROOM} prints */
export function parseRoom(printed: string): Room {
  const [, says, left, size] = /^(room|full)\s+(\d+)\s+(\d+)$/.exec(printed.trim()) ?? [];
  if (says === undefined) throw new Error(`df says ${JSON.stringify(printed)}`);
  return { isFull: says === "full", leftBytes: Number(left), sizeBytes: Number(size) };
}
