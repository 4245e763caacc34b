import { createLog } from "../../../agent/host/log";
import { parseLocalConfig } from "../../../agent/worker/local-config";
import { HeldMessages } from "../../../agent/worker/queue/held-messages";
import { queueControlPlane } from "../../../agent/worker/queue/queue-control-plane";

const HOUR_SECONDS = 3_600;
const url = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";

const withVisibility = (visibilitySeconds: number) =>
  parseLocalConfig(
    JSON.stringify({
      queue: { url, region: "eu-west-1", visibilitySeconds },
      workerId: "w-1",
      stateDirectory: "/var/lib/worker",
      daemon: { version: "1.0.0", command: ["/usr/bin/daemon"] },
    }),
  );

const longestJobMs = (visibilitySeconds: number) =>
  queueControlPlane({
    aws: { call: async () => ({}) },
    queueUrl: url,
    held: new HeldMessages("/nonexistent"),
    log: createLog(() => {}),
    visibilitySeconds,
  }).longestJobMs;

test("the longest visibility leaves a job of a queue more than five hours of the twelve that SQS lets it be held", () => {
  const { queue } = withVisibility(6 * HOUR_SECONDS);

  expect(longestJobMs(queue?.visibilitySeconds ?? 0)).toBeGreaterThan(5 * HOUR_SECONDS * 1_000);
});

test("a visibility that leaves a job hardly any time, or none, is refused with the field and what to write", () => {
  for (const seconds of [6 * HOUR_SECONDS + 1, 12 * HOUR_SECONDS]) {
    expect(() => withVisibility(seconds)).toThrow(
      "queue.visibilitySeconds: write 21600 (6 h) at most: SQS lets a message be held for 12 h, and its job must end this long before",
    );
  }
});

test.each([
  ["{", "worker.json is not JSON"],
  ["{}", /^worker\.json is not usable\n.*: /],
])("a file that cannot be used (%s) is named", (text, told) => {
  expect(() => parseLocalConfig(text, "worker.json")).toThrow(told);
});
