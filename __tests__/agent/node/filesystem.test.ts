import fc from "fast-check";
import type { DeviceContents } from "../../../agent/node/disk/contents";
import { decideFilesystem, FORMATS, type VolumeHistory } from "../../../agent/node/disk/filesystem";

const NEW: VolumeHistory = { volumeId: "vol-1", initialised: undefined, snapshotId: undefined };
type Settled = Exclude<DeviceContents, { kind: "busy" }>;

const anyContents: fc.Arbitrary<Settled> = fc.oneof(
  fc.record({ kind: fc.constant("blank" as const) }),
  fc.record({
    kind: fc.constant("signature" as const),
    type: fc.oneof(
      fc.constantFrom("ext2", "ext4", "xfs", "btrfs", "zfs_member", "LVM2_member", "crypto_LUKS"),
      fc.string(),
    ),
    uuid: fc.string(),
  }),
  fc.record({ kind: fc.constant("occupied" as const), by: fc.string() }),
  fc.record({ kind: fc.constant("unreadable" as const), reason: fc.string() }),
);
const anyHistory: fc.Arbitrary<VolumeHistory> = fc.record({
  volumeId: fc.constant("vol-1"),
  initialised: fc.option(fc.string(), { nil: undefined }),
  snapshotId: fc.option(fc.string(), { nil: undefined }),
});

test("nothing but a blank volume without a past is ever formatted", () => {
  fc.assert(
    fc.property(anyContents, anyHistory, fc.constantFrom(...FORMATS), (contents, history, format) => {
      const mayFormat =
        contents.kind === "blank" && history.initialised === undefined && history.snapshotId === undefined;
      let formats = false;
      try {
        formats = decideFilesystem(contents, history, format).action === "format";
      } catch {
        // Refused.
      }
      expect(formats).toBe(mayFormat);
    }),
    { numRuns: 2_000 },
  );
});

test("a blank new volume gets the configured filesystem", () => {
  expect(decideFilesystem({ kind: "blank" }, NEW, "xfs")).toEqual({ action: "format", type: "xfs" });
});

test("a filesystem is used with the type and UUID found, also if the volume has a past or none", () => {
  const found = { kind: "signature", type: "ext4", uuid: "u-1" } as const;

  for (const history of [NEW, { ...NEW, initialised: "u-0" }, { ...NEW, snapshotId: "snap-1" }]) {
    expect(decideFilesystem(found, history, "xfs")).toEqual({ action: "use", type: "ext4", uuid: "u-1" });
  }
});

test.each<[Settled, Partial<VolumeHistory>, string, RegExp]>([
  [{ kind: "signature", type: "zfs_member", uuid: "1" }, {}, "volume-holds-other-data", /vol-1 carries zfs_member/],
  [
    { kind: "occupied", by: "a gpt partition table" },
    {},
    "volume-holds-other-data",
    /vol-1 carries a gpt partition table/,
  ],
  [{ kind: "unreadable", reason: "EIO" }, {}, "volume-unreadable", /vol-1 cannot be read: EIO/],
  [{ kind: "blank" }, { initialised: "u-1" }, "initialised-volume-is-blank", /tagged as carrying filesystem u-1/],
  [{ kind: "blank" }, { snapshotId: "snap-1" }, "restored-volume-is-blank", /made from snapshot snap-1/],
])("%j is refused with code, reason and remedy", (contents, history, code, message) => {
  const decide = () => decideFilesystem(contents, { ...NEW, ...history }, "ext4");

  expect(decide).toThrow(message);
  expect(decide).toThrow(expect.objectContaining({ code, remedy: expect.stringMatching(/\w{3}/) }));
});
