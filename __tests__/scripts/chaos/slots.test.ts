import { replicationNameOf } from "../../../control-plane/protocol";
import { slotOf } from "../../../scripts/chaos/check/slots";

test("a job's slot is called what the agent calls it, so that its history is found in the sink", () => {
  const jobId = "fa1da55d-c470-4a69-95ba-bf03d6fe5e86";

  expect(slotOf(jobId)).toBe(replicationNameOf(jobId));
});
