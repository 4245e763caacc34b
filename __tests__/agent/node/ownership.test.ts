import { type Attachment, decideAttachment, type HolderState, type Volume } from "../../../agent/node/volume/ownership";

const ME = { instanceId: "i-me", availabilityZone: "us-east-1a" };
const HOLDER: Attachment = { instanceId: "i-other", state: "attached", deviceName: "/dev/sdf" };
const volume = (change: Partial<Volume> = {}): Volume => ({
  volumeId: "vol-1",
  state: "available",
  availabilityZone: "us-east-1a",
  sizeGiB: 16,
  snapshotId: undefined,
  tags: {},
  attachments: [],
  ...change,
});
const held = (attachment: Partial<Attachment>) =>
  volume({ state: "in-use", attachments: [{ ...HOLDER, ...attachment }] });

describe("a volume of this node", () => {
  test.each<[string, Volume, HolderState | undefined, object]>([
    ["free: attached", volume(), undefined, { action: "attach" }],
    ["attached here: done", held({ instanceId: "i-me" }), undefined, { action: "done", deviceName: "/dev/sdf" }],
    ["attaching here: wait", held({ instanceId: "i-me", state: "attaching" }), undefined, { action: "wait" }],
    ["detaching here: wait", held({ instanceId: "i-me", state: "detaching" }), undefined, { action: "wait" }],
    ["stuck here: wait", held({ instanceId: "i-me", state: "busy" }), undefined, { action: "wait" }],
    ["being made: wait", volume({ state: "creating" }), undefined, { action: "wait" }],
    ["in use, holder not shown yet: wait", volume({ state: "in-use" }), undefined, { action: "wait" }],
    [
      "free, old attachment still listed",
      volume({ attachments: [{ ...HOLDER, state: "detached" }] }),
      undefined,
      { action: "attach" },
    ],
    ["held by a terminated instance: wait", held({}), "terminated", { action: "wait" }],
    ["held by one shutting down: wait", held({}), "shutting-down", { action: "wait" }],
    ["held by one stopping: wait", held({}), "stopping", { action: "wait" }],
    ["held by a stopped one: wait", held({}), "stopped", { action: "wait" }],
    ["held by one EC2 forgot: wait", held({}), "unknown", { action: "wait" }],
  ])("%s", (_name, given, holder, expected) => {
    expect(decideAttachment(given, ME, holder)).toMatchObject(expected);
  });

  test.each<[string, Volume, HolderState | undefined, string, RegExp]>([
    [
      "held by a running instance",
      held({}),
      "running",
      "volume-held-by-live-instance",
      /vol-1 is attached at i-other, which is running/,
    ],
    ["held by one that starts", held({}), "pending", "volume-held-by-live-instance", /pending/],
    [
      "leaving a running instance",
      held({ state: "detaching" }),
      "running",
      "volume-held-by-live-instance",
      /detaching/,
    ],
    [
      "in another zone",
      volume({ availabilityZone: "us-east-1b" }),
      undefined,
      "volume-in-other-zone",
      /us-east-1b.*us-east-1a/,
    ],
    ["broken", volume({ state: "error" }), undefined, "volume-lost", /state error/],
    ["being deleted", volume({ state: "deleting" }), undefined, "volume-lost", /deleting/],
  ])("%s: not taken, and said so", (_name, given, holder, code, message) => {
    const decision = decideAttachment(given, ME, holder);

    expect(decision).toMatchObject({ action: "give-up", error: { code, remedy: expect.stringMatching(/\w{3}/) } });
    expect(decision.action === "give-up" && decision.error.message).toMatch(message);
  });

  test("attached here and to a live instance at once (multi-attach) is not used", () => {
    const shared = volume({ state: "in-use", attachments: [{ ...HOLDER, instanceId: "i-me" }, HOLDER] });

    expect(decideAttachment(shared, ME, "running").action).toBe("give-up");
  });
});
