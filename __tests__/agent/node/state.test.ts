import { join } from "node:path";
import { reason } from "../../../agent/host/log";
import { openJournal, readState } from "../../../agent/node/state";
import { useScratch } from "../../support/scratch";
import { unreadable } from "../../support/unreadable";

const scratch = useScratch();
afterEach(() => jest.restoreAllMocks());

const NODE = { instanceId: "i-1", cluster: "db", nodeId: "a" };

test("a boot that cannot be read is told with its file and who may, and not taken for one that has not started", async () => {
  const path = join(scratch.path, "node-boot.json");
  expect(readState(path)).toBeUndefined();
  await (await openJournal(path, NODE)).record({ configured: true });
  unreadable(path, "EACCES");

  let told: unknown;
  try {
    readState(path);
  } catch (error) {
    told = error;
  }
  expect(reason(told)).toBe(`${path} cannot be read: it is root's to read: EACCES: ${path}`);
  await expect(openJournal(path, NODE)).rejects.toThrow(path);
});
