import { type Aws, awsClient } from "../../../agent/host/aws";
import { createLog } from "../../../agent/host/log";
import { attachVolume } from "../../../agent/node/volume/attach";
import { xmlError } from "../../support/fake-aws";
import { FAKE_CREDENTIALS } from "../../support/imds";
import { INSTANCE_ID, type NodeCloud, type NodeCloudOptions, startNodeCloud } from "../../support/node-cloud";

const VOLUME = { volumeId: "vol-0123456789abcdef0", sizeGiB: 20, appear: () => {} };
const FAST = { baseMs: 5, capMs: 20 };

let cloud: NodeCloud;
let aws: Aws;
afterEach(() => cloud.close());

async function given(options: Partial<NodeCloudOptions> = {}): Promise<void> {
  cloud = await startNodeCloud({ volume: VOLUME, ...options });
  const credentials = Object.assign(async () => FAKE_CREDENTIALS, { forget: () => {} });
  aws = awsClient({ region: "us-east-1", credentials, environment: cloud.environment, backoff: FAST });
}

const attach = ({ patienceMs = 20_000, liveHolderMs = 60_000, availabilityZone = "us-east-1a" } = {}) =>
  attachVolume(
    aws,
    { volumeId: VOLUME.volumeId, deviceName: "/dev/sdf", instanceId: INSTANCE_ID, availabilityZone },
    createLog(() => {}),
    AbortSignal.timeout(patienceMs),
    { liveHolderMs, backoff: FAST },
  );

test("a free volume is attached once, and known by the name it has", async () => {
  await given({ attachMs: 100 });

  expect((await attach()).deviceName).toBe("/dev/sdf");
  expect(cloud.attachments).toEqual([INSTANCE_ID]);
});

test("node_userdata.sh L59: a volume that is attached here already is not attached again", async () => {
  await given({ holder: INSTANCE_ID });

  await attach();

  expect(cloud.attachments).toEqual([]);
});

test("a volume of a living instance is never taken: after a while the boot stops and says who has it", async () => {
  await given({ holder: "i-other", instances: { "i-other": "running" } });

  await expect(attach({ liveHolderMs: 100 })).rejects.toMatchObject({
    code: "volume-held-by-live-instance",
    message: expect.stringContaining("i-other, which is running"),
  });
  expect(cloud.attachments).toEqual([]);
  expect(cloud.aws.callsOf("DetachVolume")).toEqual([]);
});

test("a stale answer about the former holder is outlived", async () => {
  await given({ holder: "i-other", instances: { "i-other": "running" } });
  setTimeout(cloud.release, 150);

  await attach();

  expect(cloud.attachments).toEqual([INSTANCE_ID]);
});

test("node_userdata.sh L62: a race for the volume and a throttled call are tried again", async () => {
  await given();
  let refused = 0;
  cloud.aws.intercept("AttachVolume", (call) => {
    refused += 1;
    if (refused === 1) return xmlError(503, "RequestLimitExceeded", "Request limit exceeded.");
    if (refused === 2) return xmlError(400, "IncorrectState", "the volume is not available");
    return cloud.usually("AttachVolume")(call);
  });

  await attach();

  expect(refused).toBe(3);
});

test("a volume that a dead instance keeps ends the wait with the reason", async () => {
  await given({ holder: "i-other", instances: { "i-other": "stopped" } });

  await expect(attach({ patienceMs: 200 })).rejects.toMatchObject({
    code: "volume-not-attached",
    message: expect.stringContaining("i-other, which is stopped"),
  });
});

test("node_userdata.sh L59: what will not pass by waiting is not waited for", async () => {
  await given();
  cloud.aws.intercept("DescribeVolumes", () => xmlError(403, "UnauthorizedOperation", "You are not authorized"));

  await expect(attach()).rejects.toMatchObject({ code: "UnauthorizedOperation" });
});
