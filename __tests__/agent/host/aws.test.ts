import { type Aws, AwsError, awsClient } from "../../../agent/host/aws";
import { parseXml } from "../../../agent/host/xml";
import { type FakeAws, startAws, xmlError } from "../../support/fake-aws";
import { FAKE_CREDENTIALS } from "../../support/imds";

const SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:deployment";
const FAST = { baseMs: 1, capMs: 5 };

let server: FakeAws;
let aws: Aws;
const credentials = Object.assign(async () => FAKE_CREDENTIALS, { forget: jest.fn() });

beforeEach(async () => {
  server = await startAws({
    secrets: { [SECRET]: "canary" },
    parameters: { "/holdfast/token": "from ssm" },
    objects: { "releases/dbmazz/2.4.0/a file+(1).bin": "binary" },
  });
  aws = awsClient({
    region: "us-east-1",
    credentials,
    environment: { AWS_ENDPOINT_URL: server.endpoint },
    backoff: FAST,
  });
});
afterEach(() => server.close());

test("JSON, query, EC2 and S3 calls arrive with a signature that verifies", async () => {
  expect(await aws.call("secretsmanager", "GetSecretValue", { SecretId: SECRET })).toEqual({ SecretString: "canary" });
  expect(await aws.call("ssm", "GetParameter", { Name: "/holdfast/token", WithDecryption: true })).toEqual({
    Parameter: { Value: "from ssm" },
  });
  await aws.call("ec2", "CreateTags", { ResourceId: ["i-1", "i-2"], Tag: [{ Key: "k", Value: "v & w" }] });
  await aws.call("monitoring", "PutMetricData", { Namespace: "N", MetricData: [{ MetricName: "m", Value: 1 }] });
  const object = await aws.getObject({ bucket: "releases", key: "dbmazz/2.4.0/a file+(1).bin" });

  expect(await object.text()).toBe("binary");
  expect(server.callsOf("CreateTags")[0]?.params).toMatchObject({
    "ResourceId.1": "i-1",
    "ResourceId.2": "i-2",
    "Tag.1.Key": "k",
    "Tag.1.Value": "v & w",
    Version: "2016-11-15",
  });
  expect(server.callsOf("PutMetricData")[0]?.params).toMatchObject({ "MetricData.member.1.MetricName": "m" });
});

test.each([
  ["Throttling", 400],
  ["RequestLimitExceeded", 503],
  ["InternalFailure", 500],
])("%s (%i) is tried again", async (code, status) => {
  let refusals = 2;
  server.intercept("PutMetricData", () => (refusals-- > 0 ? xmlError(status, code, "later") : undefined));

  await aws.call("monitoring", "PutMetricData", { Namespace: "N" });
  expect(server.callsOf("PutMetricData")).toHaveLength(3);
});

test("a denial is not tried again, and carries AWS's own words", async () => {
  const words = "User is not authorized to perform: autoscaling:CompleteLifecycleAction";
  server.intercept("CompleteLifecycleAction", () => xmlError(403, "AccessDenied", words));

  const failure = aws.call("autoscaling", "CompleteLifecycleAction");
  await expect(failure).rejects.toBeInstanceOf(AwsError);
  await expect(failure).rejects.toMatchObject({
    service: "autoscaling",
    action: "CompleteLifecycleAction",
    code: "AccessDenied",
    status: 403,
    message: `autoscaling CompleteLifecycleAction: AccessDenied: ${words}`,
  });
  expect(server.calls).toHaveLength(1);
});

test("an expired session fetches credentials anew", async () => {
  credentials.forget.mockClear();
  let refusals = 1;
  server.intercept("PutMetricData", () => (refusals-- > 0 ? xmlError(403, "ExpiredToken", "expired") : undefined));

  await aws.call("monitoring", "PutMetricData", { Namespace: "N" });
  expect(credentials.forget).toHaveBeenCalledTimes(1);
});

test("JSON errors carry the type's last part", async () => {
  await expect(aws.call("secretsmanager", "GetSecretValue", { SecretId: "nobody" })).rejects.toMatchObject({
    code: "ResourceNotFoundException",
    status: 400,
  });
});

test("a server that hangs is given up at the call's deadline", async () => {
  server.intercept("PutMetricData", () => "hang");

  await expect(aws.call("monitoring", "PutMetricData", {}, { timeoutMs: 100 })).rejects.toMatchObject({
    code: "Unreachable",
  });
});

test.each([
  [{}, "amazonaws.com", "https://releases.s3.us-west-2.amazonaws.com/k"],
  [{ AWS_USE_FIPS_ENDPOINT: "true" }, "amazonaws.com", "https://releases.s3-fips.us-west-2.amazonaws.com/k"],
  [{}, "amazonaws.com.cn", "https://releases.s3.us-west-2.amazonaws.com.cn/k"],
  [{ AWS_ENDPOINT_URL: "http://h:1/" }, "amazonaws.com", "http://h:1/releases/k"],
  [{ AWS_ENDPOINT_URL_S3: "http://s3:2", AWS_ENDPOINT_URL: "http://h:1" }, "amazonaws.com", "http://s3:2/releases/k"],
])("with %j in %s an object is read from %s", async (environment, dnsSuffix, expected) => {
  const fetched = jest.spyOn(globalThis, "fetch").mockResolvedValue(new Response("x"));
  try {
    const client = awsClient({ region: "us-east-1", credentials, environment, dnsSuffix });
    await client.getObject({ bucket: "releases", key: "k", region: "us-west-2" });
    expect(String(fetched.mock.calls[0]?.[0])).toBe(expected);
  } finally {
    fetched.mockRestore();
  }
});

test("XML answers become records and lists", () => {
  const answer = parseXml(
    `<?xml version="1.0"?><DescribeVolumesResponse xmlns="x"><volumeSet><item><volumeId>vol-1</volumeId>
      <attachmentSet/><tagSet><item><key>a&amp;b</key><value>&#x41;</value></item></tagSet></item></volumeSet></DescribeVolumesResponse>`,
  );
  expect(answer).toEqual({
    volumeSet: [{ volumeId: "vol-1", attachmentSet: "", tagSet: [{ key: "a&b", value: "A" }] }],
  });
});
