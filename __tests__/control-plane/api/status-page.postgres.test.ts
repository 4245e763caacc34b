import { issueToken } from "../../../control-plane/store/tokens";
import { send } from "./clients";
import { restBetweenRequests } from "./resting-clock";
import { useControlPlane } from "./use-control-plane";

const plane = useControlPlane();

afterEach(() => jest.restoreAllMocks());

async function page(token = plane.operator.token, scheme = "Basic"): Promise<Response> {
  const credentials = scheme === "Basic" ? Buffer.from(`me:${token}`).toString("base64") : token;
  return await fetch(plane.url, { headers: { authorization: `${scheme} ${credentials}` } });
}

it("control-plane 30: shows jobs and workers as they are, and a job of a silent worker as in trouble", async () => {
  const rest = restBetweenRequests();
  await plane.operator.createJob("orders");
  const worker = await plane.worker("i-1").open();
  expect(await (await page()).text()).toMatch(/orders<\/th><td class="warn">pending</);
  rest();
  const [grant] = (await worker.claim()).grants;
  const ref = { jobId: grant?.jobId ?? "", fence: grant?.fence ?? 0 };
  await worker.ask("started", ref);
  const figures = { lagBytes: 1, lagMs: 1_500, eventsPerSecond: 12, eventsTotal: 1, memoryBytes: 1, cpuMillicores: 1 };
  await worker.ask("metrics", { jobs: [{ ...ref, ...figures }], host: { memoryBytes: 1, cpuMillicores: 1 } });

  const running = await (await page()).text();
  expect(running).toMatch(/orders<\/th><td class="good">running</);
  expect(running).toMatch(/1\.5 s<\/td>\s*<td class="number">12</);
  expect(running).toMatch(/i-1<\/th><td class="good">healthy</);

  await plane.pool.query("update leases set expires_at = now() - interval '9 seconds'");
  await plane.pool.query("update job_metrics set measured_at = now() - interval '10 minutes'");
  rest();
  const silent = await (await page()).text();
  expect(silent).toContain("<title>1 in trouble");
  expect(silent).toContain("running, but its worker is silent");
  expect(silent).toMatch(/i-1<\/th><td class="bad">silent for \d+ s</);
  expect(silent).not.toContain("1.5 s");
});

it("escapes whatever workers say, and holds no secret", async () => {
  await plane.operator.createJob("orders", { maxRetries: 0 });
  const worker = await plane.worker("i-1").open();
  const [grant] = (await worker.claim()).grants;
  const ref = { jobId: grant?.jobId ?? "", fence: grant?.fence ?? 0 };
  await worker.ask("started", ref);
  await worker.ask("report", { ...ref, outcome: "failed", error: "<img src=x onerror=alert(1)>", logTail: [] });

  const answer = await page();
  const text = await answer.text();
  expect(text).toMatch(/class="bad">failed<small>&lt;img src=x/);
  expect(text).not.toContain("<img");
  for (const secret of ["canary-password", plane.operator.token, plane.operator.deploymentToken])
    expect(text).not.toContain(secret);
  expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(Buffer.byteLength(text)).toBeLessThan(60 * 1024);
});

it("is for operators, each of whom sees the own deployments", async () => {
  const other = await send(plane.url, "/api/v1/deployments", plane.operator.token, { name: "other" });
  const { token } = await issueToken(plane.pool, { kind: "operator", deploymentId: other.body.id });

  const own = await (await page(token)).text();
  expect(own).toContain("deployment-other");
  expect(own).not.toContain("deployment-shop");

  for (const [wrong, scheme] of [
    [plane.operator.deploymentToken, "Basic"],
    ["hfo_unknown-token", "Basic"],
    [plane.operator.token, "Bearer"],
  ] as const) {
    const refused = await page(wrong, scheme);
    expect([401, 403]).toContain(refused.status);
    expect(await refused.text()).not.toContain("deployment-");
  }
  const nobody = await fetch(plane.url);
  expect([nobody.status, nobody.headers.get("www-authenticate")]).toEqual([
    401,
    expect.stringContaining("Basic realm="),
  ]);
});

it("control-plane 30: those who look at the same time are shown the same, each for the own token, and who looks later what is true then", async () => {
  const rest = restBetweenRequests();
  const { token, id } = await issueToken(plane.pool, { kind: "operator", deploymentId: null });
  expect(await (await page()).text()).not.toContain("orders");
  await plane.operator.createJob("orders");
  await plane.pool.query("update tokens set revoked_at = now() where id = $1", [id]);

  expect(await (await page()).text()).not.toContain("orders");
  expect((await page(token)).status).toBe(401);
  rest();
  const later = await Promise.all(Array.from({ length: 8 }, async () => await (await page()).text()));
  expect(later[0]).toContain("orders");
  expect(new Set(later).size).toBe(1);
});
