import type { CdcStatus } from "../../../../agent/worker/daemon/daemon-api";
import { missingCopyProof } from "../../../../agent/worker/jobs/copy-proof";

const seen = (done: number, total: number, snapshot_active = false) =>
  ({ snapshot_chunks_done: done, snapshot_chunks_total: total, snapshot_active }) as CdcStatus;
const CRATE = "2026-05-16T10:00:00Z  INFO dbmazz::engine::snapshot";

test.each<[string, string[], CdcStatus | undefined]>([
  ["its last word", [`${CRATE}::worker: Snapshot complete: 5 chunks, 9 rows synced in 0.1s`, "bye"], undefined],
  ["its last word, of tables without rows", [`${CRATE}::worker: Snapshot complete: 0 chunks`], seen(0, 0)],
  ["its last word, of a MySQL source", [`${CRATE}::mysql: MySQL snapshot complete: 5 chunks`], seen(3, 5)],
  ["a status after the snapshot with every chunk copied", [], seen(5, 5)],
])("R27: a copy is known to be complete by %s", (_, lines, status) => {
  expect(missingCopyProof(lines, status)).toBeUndefined();
});

test.each<[string, string[], CdcStatus | undefined, string]>([
  ["that nobody has seen", [], undefined, "no chunk was seen copied"],
  ["seen before its first chunk", [], seen(0, 5, true), "0 of 5 chunks"],
  ["seen before its chunks were counted", [], seen(0, 0), "no chunk was seen copied"],
  ["seen in the middle", ["ERROR Replication stream error: broken pipe"], seen(3, 5, true), "3 of 5 chunks"],
  ["that had copied what it knew of, with tables to come", [], seen(5, 5, true), "5 of 5 chunks"],
  ["after a snapshot that failed", [`${CRATE}: MySQL snapshot incomplete: 1 of 5 chunks failed`], seen(4, 5), "4 of 5"],
])("R27: a copy is not taken for complete of a dbmazz %s", (_, lines, status, why) => {
  expect(missingCopyProof(lines, status)).toContain(why);
});
