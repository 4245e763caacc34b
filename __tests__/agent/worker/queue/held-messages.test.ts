import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { HeldMessages } from "../../../../agent/worker/queue/held-messages";
import { useScratch } from "../../../support/scratch";

const scratch = useScratch();

test("SQS: a message that cannot be written down is not held: it is not taken for a second delivery when it comes again", () => {
  const path = join(scratch.path, "absent", "queue.json");
  const held = new HeldMessages(path);
  const message = { jobId: "job", fence: 1, receipt: "receipt" };

  expect(() => held.hold(message)).toThrow("ENOENT");
  expect(held.ofJob("job")).toBeUndefined();

  mkdirSync(dirname(path));
  held.hold(message);
  expect(new HeldMessages(path).all()).toEqual([message]);
});
