import { type InstanceMetadata, instanceLeaves } from "../../../scripts/emulator/metadata/leaves";
import { type MetadataServer, startMetadataServer } from "../../../scripts/emulator/metadata/server";
import { type MetadataRequest, metadataService } from "../../../scripts/emulator/metadata/service";

const INSTANCE: InstanceMetadata = {
  instanceId: "i-0a1b2c3d4e5f60718",
  imageId: "ami-0123456789abcdef0",
  instanceType: "t3.medium",
  architecture: "x86_64",
  accountId: "123456789012",
  region: "eu-central-1",
  availabilityZone: "eu-central-1b",
  privateIp: "10.0.0.10",
  macAddress: "02:00:00:00:00:0a",
  hostname: "ip-10-0-0-10.eu-central-1.compute.internal",
};

const TOKEN_TTL = "x-aws-ec2-metadata-token-ttl-seconds";

describe("the rules of HttpTokens=required", () => {
  const service = metadataService((address) =>
    address.startsWith("10.0.0.") ? instanceLeaves({ ...INSTANCE, privateIp: address }) : undefined,
  );
  const ask = (request: Partial<MetadataRequest>) =>
    service.answer({ method: "GET", path: "/", headers: {}, address: "10.0.0.10", ...request });
  const token = async (address = "10.0.0.10") =>
    String((await ask({ method: "PUT", path: "/latest/api/token", headers: { [TOKEN_TTL]: "60" }, address })).body);
  const read = async (path: string, address = "10.0.0.10", session?: string) =>
    ask({ path, address, headers: { "x-aws-ec2-metadata-token": session ?? (await token(address)) } });

  test.each([
    ["no lifetime", "PUT", {}, 400],
    ["a lifetime of nothing", "PUT", { [TOKEN_TTL]: "0" }, 400],
    ["a lifetime over six hours", "PUT", { [TOKEN_TTL]: "21601" }, 400],
    ["a lifetime in words", "PUT", { [TOKEN_TTL]: "long" }, 400],
    ["a proxy in between", "PUT", { [TOKEN_TTL]: "60", "x-forwarded-for": "10.0.0.99" }, 403],
    ["another method", "GET", { [TOKEN_TTL]: "60" }, 405],
  ])("a token is refused with %s", async (_case, method, headers, status) => {
    expect((await ask({ method, path: "/latest/api/token", headers })).status).toBe(status);
  });

  test.each(["/", "/latest/meta-data/instance-id", "/latest/user-data", "/latest/no-such-thing"])(
    "without a token nothing is told: %s",
    async (path) => {
      expect(await ask({ path })).toEqual({ status: 401 });
      expect(await read(path, "10.0.0.10", "invented")).toEqual({ status: 401 });
    },
  );

  test("a token is good for the instance that asked for it, and until it is revoked", async () => {
    const mine = await token();
    const address = "/latest/meta-data/local-ipv4";
    expect(await read(address, "10.0.0.10", mine)).toMatchObject({ body: "10.0.0.10" });
    expect(await read(address, "10.0.0.11", mine)).toEqual({ status: 401 });
    expect(await read(address, "10.0.0.11")).toMatchObject({ body: "10.0.0.11" });
    service.revokeTokens();
    expect(await read(address, "10.0.0.10", mine)).toEqual({ status: 401 });
  });

  test("who is no instance gets nothing, not even a token", async () => {
    expect(
      await ask({ method: "PUT", path: "/latest/api/token", headers: { [TOKEN_TTL]: "60" }, address: "10.9.9.9" }),
    ).toEqual({ status: 404 });
  });

  test("folders list their names, those of folders with a slash; dated versions are answered, unknown ones are not", async () => {
    expect(await read("/2021-03-23/meta-data/placement/")).toMatchObject({ body: "availability-zone\nregion" });
    expect(String((await read("/latest/meta-data/")).body).split("\n")).toEqual(
      expect.arrayContaining(["instance-id", "placement/", "network/"]),
    );
    expect(await read("/2099-01-01/meta-data/instance-id")).toEqual({ status: 404 });
    expect(await read("/latest/meta-data/spot/instance-action")).toEqual({ status: 404 });
    expect(await ask({ method: "POST", path: "/latest/meta-data/" })).toEqual({ status: 405 });
  });
});

test("what happens to an instance shows in its leaves", () => {
  const leaves = instanceLeaves({
    ...INSTANCE,
    userData: Buffer.from([0x1f, 0x8b]),
    tags: { Name: "zk-node-00" },
    targetLifecycleState: "Terminated",
    spotInterruption: { action: "terminate", time: new Date("2026-01-02T03:04:05.678Z") },
    rebalanceRecommendedAt: new Date("2026-01-02T03:02:00Z"),
    credentials: {
      role: "zk",
      accessKeyId: "ASIA",
      secretAccessKey: "canary",
      sessionToken: "session",
      expiration: new Date("2026-01-02T09:00:00Z"),
    },
  });

  expect(leaves.get("user-data")).toEqual(Buffer.from([0x1f, 0x8b]));
  expect(leaves.get("meta-data/tags/instance/Name")).toBe("zk-node-00");
  expect(leaves.get("meta-data/autoscaling/target-lifecycle-state")).toBe("Terminated");
  expect(leaves.get("meta-data/instance-life-cycle")).toBe("spot");
  expect(json(leaves.get("meta-data/spot/instance-action"))).toEqual({
    action: "terminate",
    time: "2026-01-02T03:04:05Z",
  });
  expect(json(leaves.get("meta-data/events/recommendations/rebalance"))).toEqual({
    noticeTime: "2026-01-02T03:02:00Z",
  });
  expect(json(leaves.get("meta-data/iam/security-credentials/zk"))).toMatchObject({
    Code: "Success",
    Token: "session",
    Expiration: "2026-01-02T09:00:00Z",
  });
  expect(json(leaves.get("dynamic/instance-identity/document"))).toMatchObject({ instanceId: "i-0a1b2c3d4e5f60718" });
});

describe("over HTTP", () => {
  let server: MetadataServer;
  beforeAll(async () => {
    server = await startMetadataServer("127.0.0.1", (address) =>
      address === "127.0.0.1" ? instanceLeaves(INSTANCE) : undefined,
    );
  });
  afterAll(() => server.stop());

  test("the instance is known by the address that it asks from", async () => {
    const at = `http://127.0.0.1:${server.port}`;
    const token = await fetch(`${at}/latest/api/token`, { method: "PUT", headers: { [TOKEN_TTL]: "60" } });
    expect(token.headers.get(TOKEN_TTL)).toBe("60");
    const headers = { "x-aws-ec2-metadata-token": await token.text() };
    const answer = await fetch(`${at}/latest/meta-data/instance-id`, { headers });
    expect(answer.headers.get("connection")).toBe("close");
    expect(await answer.text()).toBe("i-0a1b2c3d4e5f60718");
    expect((await fetch(`${at}/latest/meta-data/instance-id`)).status).toBe(401);
  });
});

const json = (leaf: string | Buffer | undefined) => JSON.parse(String(leaf));
