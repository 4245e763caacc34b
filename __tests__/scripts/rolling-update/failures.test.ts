import { launchFailure } from "../../../scripts/rolling-update/failures";

const launch = (id: string, message: string) => ({
  id,
  status: "Failed" as const,
  description: "Launching a new EC2 instance",
  message,
  startedMs: 1_000,
});
const IN_USE = launch("2", "Interface: [eni-0a] in use. Launching EC2 instance failed.");

test("R15: a launch that finds the interface at the instance that failed before it does not hide why that one failed", () => {
  const abandoned = launch(
    "1",
    "Lifecycle Action with token was abandoned: Lifecycle Action Completed with ABANDON Result",
  );
  expect(launchFailure([IN_USE, abandoned], 0, undefined)?.code).toBe("HOOK_ABANDONED");
  expect(launchFailure([IN_USE], 0, undefined)?.code).toBe("INTERFACE_IN_USE");
});
