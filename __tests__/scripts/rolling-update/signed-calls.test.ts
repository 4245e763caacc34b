import { assumedRole } from "../../../scripts/rolling-update/aws/assumed-role";
import { instanceRole, metadata, renewed } from "../../../scripts/rolling-update/aws/instance-credentials";
import { signedCalls } from "../../../scripts/rolling-update/aws/signed-calls";
import { type RunningServer, startHttpServer } from "../../support/http-server";

const HOUR_MS = 3_600_000;
const lent = (accessKeyId: string, expiresMs: number) => ({ accessKeyId, secretAccessKey: "secret", expiresMs });
const keys = () => Object.assign(async () => lent("own", 0), { forget: jest.fn() });
const before = { ...process.env };
const servers: RunningServer[] = [];
afterEach(async () => {
  process.env = { ...before };
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function answering(...answers: { status: number; body: string }[]) {
  const asked: { headers: Readonly<Record<string, string>>; body: string }[] = [];
  const server = await startHttpServer(({ headers, body }) => {
    asked.push({ headers: headers as Record<string, string>, body });
    return answers.shift() ?? { status: 500, body: "" };
  });
  servers.push(server);
  return { asked, endpoint: server.endpoint };
}

describe("a signed call", () => {
  test.each([
    [
      "Auto Scaling's",
      {
        status: 400,
        body: "<ErrorResponse><Error><Type>Sender</Type><Code>ScalingActivityInProgress</Code><Message>Activity x is in progress.</Message></Error></ErrorResponse>",
      },
      { code: "ScalingActivityInProgress", message: "Activity x is in progress.", kind: "transient" },
    ],
    [
      "EC2's",
      {
        status: 403,
        body: "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized</Message></Error></Errors></Response>",
      },
      { code: "UnauthorizedOperation", message: "You are not authorized", kind: "denied" },
    ],
    ["a gateway's", { status: 503, body: "no" }, { code: "InternalFailure", message: "HTTP 503", kind: "transient" }],
    ["a proxy's", { status: 404, body: "no" }, { code: "HTTP 404", message: "HTTP 404", kind: "invalid" }],
  ])("R15: tells %s refusal in its own words", async (_whose, answer, error) => {
    const { endpoint } = await answering(answer);
    const calls = signedCalls({ region: "eu-west-1", endpoint, credentials: keys() });

    await expect(calls.query("ec2", "DescribeVolumes")).rejects.toMatchObject({ action: "DescribeVolumes", ...error });
  });

  test("R15: no answer is an error that passes, and says who did not answer", async () => {
    const server = await startHttpServer(() => ({ status: 500, body: "" }));
    await server.close();
    const calls = signedCalls({ region: "eu-west-1", endpoint: server.endpoint, credentials: keys() });

    await expect(calls.query("ec2", "DescribeVolumes")).rejects.toMatchObject({
      kind: "transient",
      code: "ECONNREFUSED",
      message: expect.stringContaining(new URL(server.endpoint).host),
    });
  });

  test("asks for new credentials after AWS has called the old ones expired", async () => {
    const body = JSON.stringify({ __type: "com.amazon.coral.service#ExpiredTokenException", message: "expired" });
    const { endpoint } = await answering({ status: 400, body });
    const credentials = keys();
    const { systemsManager } = signedCalls({ region: "eu-west-1", endpoint, credentials });

    await expect(systemsManager.call("DeleteParameter", { Name: "/x" })).rejects.toMatchObject({
      code: "ExpiredTokenException",
      kind: "denied",
    });
    expect(credentials.forget).toHaveBeenCalledTimes(1);
  });

  test("goes to the region's own address, in the partition's domain", async () => {
    delete process.env.AWS_ENDPOINT_URL;
    const fetched = jest.spyOn(globalThis, "fetch").mockRejectedValue(new TypeError("no network in tests"));
    try {
      const options = { region: "cn-north-1", dnsSuffix: "amazonaws.com.cn", credentials: keys() };
      await expect(signedCalls(options).query("ec2", "DescribeVolumes")).rejects.toThrow();
      expect(String(fetched.mock.calls[0]?.[0])).toBe("https://ec2.cn-north-1.amazonaws.com.cn/");
    } finally {
      fetched.mockRestore();
    }
  });
});

describe("credentials that end", () => {
  test("are fetched once, and again five minutes before their end", async () => {
    let nowMs = 0;
    let fetched = 0;
    const source = renewed(
      async () => lent(`key ${++fetched}`, nowMs + HOUR_MS),
      () => nowMs,
    );

    await source();
    nowMs = HOUR_MS - 5 * 60_000 - 1;
    await expect(source()).resolves.toMatchObject({ accessKeyId: "key 1" });
    nowMs += 1;
    await expect(source()).resolves.toMatchObject({ accessKeyId: "key 2" });
    source.forget();
    await expect(source()).resolves.toMatchObject({ accessKeyId: "key 3" });
  });

  test("of a role are taken with one's own, for an hour", async () => {
    const { asked, endpoint } = await answering({
      status: 200,
      body: `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey><SessionToken>T</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
    });
    const own = { region: "eu-west-1", endpoint, credentials: keys() };

    const source = assumedRole(own, "arn:aws:iam::123456789012:role/orders-roller", "i-1");

    await expect(source()).resolves.toEqual({ accessKeyId: "A", secretAccessKey: "S", sessionToken: "T" });
    expect(new URLSearchParams(asked[0]?.body).get("DurationSeconds")).toBe("3600");
    expect(new URLSearchParams(asked[0]?.body).get("RoleSessionName")).toBe("i-1");
    expect(asked[0]?.headers.authorization).toContain("/eu-west-1/sts/aws4_request");
  });

  test("of an instance come from its metadata, with a session token only", async () => {
    const server = await startHttpServer(({ method, url, headers }) => {
      if (method === "PUT") return { status: 200, body: "session" };
      if (headers["x-aws-ec2-metadata-token"] !== "session") return { status: 401, body: "" };
      const role = { AccessKeyId: "A", SecretAccessKey: "S", Token: "T", Expiration: "2999-01-01T00:00:00Z" };
      const values: Record<string, string> = {
        "/latest/meta-data/iam/security-credentials/": "node\n",
        "/latest/meta-data/iam/security-credentials/node": JSON.stringify(role),
      };
      const body = values[url.pathname];
      return body === undefined ? { status: 404, body: "" } : { status: 200, body };
    });
    servers.push(server);
    process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT = server.endpoint;

    await expect(instanceRole()()).resolves.toEqual({ accessKeyId: "A", secretAccessKey: "S", sessionToken: "T" });
    await expect(metadata("meta-data/nothing")).rejects.toThrow(/answers 404 to meta-data\/nothing/);
  });
});
