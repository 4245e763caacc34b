import { mountUnitText } from "../../../agent/node/disk/mount-unit";
import { unitText } from "../../../agent/node/install-unit";
import { decideHook } from "../../../agent/node/launch-hook";
import { failureLine, tagValue } from "../../../agent/node/report";

const failure = (message: string) => ({ step: "health", code: "health-failed", message, remedy: "" }) as const;

test("a failure is one line: step, code, reason, last output", () => {
  expect(failureLine(failure("failed with status 1\n  1 of 3 serve\n\nno leader"))).toBe(
    "failed at health (health-failed): failed with status 1 | 1 of 3 serve | no leader",
  );
});

test("a tag keeps what failed and the end of the output, within 256 characters", () => {
  const value = tagValue(failureLine(failure(`failed with status 1\n${"noise ".repeat(100)}\nno leader`)));

  expect([...value]).toHaveLength(256);
  expect(value).toMatch(/^failed at health \(health-failed\): failed with status 1 … .*no leader$/);
});

test.each([
  [undefined, "wait"],
  ["Pending", "wait"],
  ["Pending:Wait", "complete"],
  ["Pending:Proceed", "over"],
  ["InService", "over"],
  ["Standby", "over"],
  ["Terminating", "lost"],
  ["Terminating:Wait", "lost"],
  ["Terminated", "lost"],
  ["Detaching", "lost"],
])("an instance that is %s: %s", (state, expected) => {
  expect(decideHook(state)).toBe(expected);
});

test("mount_volume.sh L65: a later boot mounts the detected type by UUID, and what needs the path needs the mount", () => {
  const unit = mountUnitText({ description: "d", uuid: "u-1", type: "ext4", path: "/data", options: ["noatime"] });

  expect(unit).toContain("What=/dev/disk/by-uuid/u-1\nWhere=/data\nType=ext4\nOptions=noatime\n");
  expect(unit).not.toContain("nofail");
  expect(mountUnitText({ description: "d", uuid: "u", type: "xfs", path: "/data", options: [] })).not.toContain(
    "Options",
  );
});

test("node_userdata.sh, no trap: systemd restarts an agent that was killed, but not a boot that failed and said so", () => {
  const unit = unitText("/usr/bin/node-22", "/opt/holdfast/node.mjs");

  expect(unit).toMatch(/Restart=on-failure[\s\S]*RestartPreventExitStatus=64/);
  expect(unit).toContain("KillMode=process");
});
