import { reasonOf } from "../../../scripts/rehearse/events/rolling";

test("why a roll stopped is one line: AWS's words, and last what the node said of its boot", () => {
  const error = { code: "HOOK_ABANDONED", message: "the group could not start the replacement" } as const;
  const printed = [
    "Lifecycle Action was abandoned",
    "holdfast-node: node 01 failed at configure: 1",
    "         Starting something",
    "holdfast-node: node 01 failed at configure: the licence has expired",
    "See 'systemctl status'",
  ];
  expect(reasonOf({ ...error, reason: printed.join("\n") })).toBe(
    "HOOK_ABANDONED: the group could not start the replacement; Lifecycle Action was abandoned; " +
      "holdfast-node: node 01 failed at configure: the licence has expired",
  );
  expect(reasonOf(error)).toBe("HOOK_ABANDONED: the group could not start the replacement");
});
