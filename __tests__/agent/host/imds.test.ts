import { roleCredentials } from "../../../agent/host/credentials";
import {
  imdsClient,
  instanceIdentity,
  rebalanceRecommendation,
  spotInterruption,
  targetLifecycleState,
} from "../../../agent/host/imds";
import { FAKE_CREDENTIALS, type FakeImds, startImds } from "../../support/imds";

let service: FakeImds;
beforeEach(async () => {
  service = await startImds();
});
afterEach(() => service.close());

test("defect 1: the first request is a PUT for a session token: an instance that requires IMDSv2 answers 401 without one", async () => {
  // GIVEN
  const bare = await fetch(`${service.endpoint}/latest/meta-data/instance-id`);
  expect(bare.status).toBe(401);

  // WHEN
  const identity = await instanceIdentity(imdsClient({ endpoint: service.endpoint }));

  // THEN
  expect(identity.instanceId).toBe("i-0a1b2c3d4e5f60718");
  expect(service.requests.slice(1)).toEqual(["PUT api/token", "GET dynamic/instance-identity/document"]);
});

test("one token serves many reads, and is renewed when it is no longer accepted", async () => {
  const imds = imdsClient({ endpoint: service.endpoint, timeoutMs: 60_000 });
  await imds.get("meta-data/instance-id");
  await imds.get("meta-data/instance-id");
  service.revokeTokens();

  expect(await imds.get("meta-data/instance-id")).toBe("i-0a1b2c3d4e5f60718");
  expect(service.requests.filter((request) => request.startsWith("PUT"))).toHaveLength(2);
});

test("what the instance does not have is undefined, and not asked for again", async () => {
  const imds = imdsClient({ endpoint: service.endpoint });

  expect(await targetLifecycleState(imds)).toBeUndefined();
  expect(await spotInterruption(imds)).toBeUndefined();
  expect(await rebalanceRecommendation(imds)).toBeUndefined();
  expect(service.requests.filter((request) => request.includes("target-lifecycle-state"))).toHaveLength(1);
});

test("notices are read", async () => {
  const imds = imdsClient({ endpoint: service.endpoint });
  service.set("meta-data/autoscaling/target-lifecycle-state", "Terminated");
  service.set("meta-data/spot/instance-action", '{"action":"terminate","time":"2026-01-02T03:04:05Z"}');
  service.set("meta-data/events/recommendations/rebalance", '{"noticeTime":"2026-01-02T03:00:00Z"}');

  expect(await targetLifecycleState(imds)).toBe("Terminated");
  expect(await spotInterruption(imds)).toEqual({ action: "terminate", time: "2026-01-02T03:04:05Z" });
  expect(await rebalanceRecommendation(imds)).toEqual({ noticeTime: "2026-01-02T03:00:00Z" });
});

test.each([503, "hang"] as const)("a service that answers %p twice is asked again", async (failure) => {
  service.fail(2, failure);
  const imds = imdsClient({ endpoint: service.endpoint, timeoutMs: 250 });

  expect(await imds.get("meta-data/instance-id")).toBe("i-0a1b2c3d4e5f60718");
});

test("a service that never answers is given up, with its address", async () => {
  service.fail(1_000, "hang");
  const imds = imdsClient({ endpoint: service.endpoint, timeoutMs: 20, patienceMs: 100 });

  await expect(imds.get("meta-data/instance-id")).rejects.toThrow(`instance metadata service at ${service.endpoint}`);
});

test("an instance with metadata turned off says so at once", async () => {
  service.fail(1_000, 403);
  const imds = imdsClient({ endpoint: service.endpoint });

  await expect(imds.get("meta-data/instance-id")).rejects.toMatchObject({
    cause: { message: expect.stringContaining("instance metadata is turned off") },
  });
  expect(service.requests).toHaveLength(1);
});

test("the role's credentials are read once and kept until they near their end", async () => {
  const credentials = roleCredentials(imdsClient({ endpoint: service.endpoint }), {});

  expect(await credentials()).toEqual(FAKE_CREDENTIALS);
  const before = service.requests.length;
  await credentials();
  expect(service.requests).toHaveLength(before);
  credentials.forget();
  await credentials();
  expect(service.requests.length).toBeGreaterThan(before);
});

test("an instance without a role is told which part it lacks", async () => {
  service.set("meta-data/iam/security-credentials/holdfast-worker", undefined);

  await expect(roleCredentials(imdsClient({ endpoint: service.endpoint }), {})()).rejects.toThrow("instance profile");
});
