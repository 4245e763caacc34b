import { awsClient } from "../../../agent/host/aws";
import { listOf } from "../../../agent/host/xml";
import { type Emulator, startMoto } from "../../../scripts/emulator/moto";

/** A form-encoded, a JSON and an S3 service of an AWS that this project did not write. */
let emulator: Emulator;

beforeAll(async () => {
  emulator = await startMoto();
}, 60_000);
afterAll(() => emulator.stop());

// The emulator loads a service when it is first called, which may outlast an attempt.
jest.setTimeout(120_000);

const aws = () =>
  awsClient({
    region: "us-east-1",
    credentials: Object.assign(async () => ({ accessKeyId: "AKIATEST", secretAccessKey: "test" }), { forget() {} }),
    environment: { AWS_ENDPOINT_URL: emulator.url },
  });

test("EC2: lists of parameters are understood, lists in answers are read", async () => {
  const created = await aws().call("ec2", "CreateVolume", {
    AvailabilityZone: "us-east-1a",
    Size: 8,
    TagSpecification: [{ ResourceType: "volume", Tag: [{ Key: "Name", Value: "data & more" }] }],
  });
  const volumeId = String(created["volumeId"]);

  const answer = await aws().call("ec2", "DescribeVolumes", {
    VolumeId: [volumeId],
    Filter: [{ Name: "tag:Name", Value: ["data & more"] }],
  });

  const [volume] = listOf(answer["volumeSet"]);
  expect(volume).toMatchObject({ volumeId, size: "8", status: "available" });
  expect(listOf(volume?.["attachmentSet"])).toEqual([]);
  expect(listOf(volume?.["tagSet"])).toEqual([{ key: "Name", value: "data & more" }]);
});

test("Auto Scaling and CloudWatch: calls are understood, a refusal carries AWS's code", async () => {
  const groups = await aws().call("autoscaling", "DescribeAutoScalingGroups", { AutoScalingGroupNames: ["none"] });
  expect(listOf(groups["AutoScalingGroups"])).toEqual([]);

  await aws().call("monitoring", "PutMetricData", {
    Namespace: "ez-cdc/workers",
    MetricData: [{ MetricName: "WorkerHeartbeat", Value: 1, Dimensions: [{ Name: "Pool", Value: "docs" }] }],
  });
  const listed = await aws().call("monitoring", "ListMetrics", { Namespace: "ez-cdc/workers" });
  expect(listOf(listed["Metrics"])).toMatchObject([{ MetricName: "WorkerHeartbeat" }]);

  await expect(aws().call("ec2", "DescribeVolumes", { VolumeId: ["vol-00000000"] })).rejects.toMatchObject({
    code: "InvalidVolume.NotFound",
    status: 400,
  });
});

test("Secrets Manager and Parameter Store: values are read", async () => {
  await aws().call("secretsmanager", "CreateSecret", { Name: "token", SecretString: "one" });
  await aws().call("ssm", "PutParameter", { Name: "/token", Value: "two", Type: "SecureString" });

  expect(await aws().call("secretsmanager", "GetSecretValue", { SecretId: "token" })).toMatchObject({
    SecretString: "one",
  });
  expect(await aws().call("ssm", "GetParameter", { Name: "/token", WithDecryption: true })).toMatchObject({
    Parameter: { Value: "two" },
  });
});
