import { execFileSync } from "node:child_process";
import axe from "axe-core";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { SHARED_MS } from "../../../control-plane/api/status-routes";
import { send, type TestWorker } from "../api/clients";
import { useControlPlane } from "../api/use-control-plane";

const plane = useControlPlane();

let browser: Browser;
let context: BrowserContext | undefined;
beforeAll(async () => {
  const executablePath = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
  const isRoot = process.getuid?.() === 0;
  browser = await chromium.launch({ executablePath, chromiumSandbox: !isRoot });
});
afterEach(() => context?.close());
afterAll(() => browser.close());

/** The page as an operator's browser shows it, with what went wrong on it. */
async function opened(options: BrowserContextOptions = {}): Promise<{ page: Page; troubles: string[] }> {
  context = await browser.newContext({
    httpCredentials: { username: "me", password: plane.operator.token },
    ...options,
  });
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  const troubles: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) troubles.push(message.text());
  });
  page.on("pageerror", (error) => troubles.push(String(error)));
  page.on("dialog", (dialog) => {
    troubles.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== plane.url) troubles.push(`asked ${request.url()}`);
  });
  await page.goto(plane.url);
  return { page, troubles };
}

/** A deployment with something of everything: a job that runs, one that failed, one that waits, and a worker. */
async function busyDeployment(): Promise<TestWorker> {
  await plane.operator.createJob("orders");
  await plane.operator.createJob("invoices", { maxRetries: 0 });
  const worker = await plane.worker("i-1").open();
  for (const isLast of [false, true]) {
    const [grant] = (await worker.claim()).grants;
    const ref = { jobId: grant?.jobId ?? "", fence: grant?.fence ?? 0 };
    await worker.ask("started", ref);
    if (isLast) {
      const error = `<img src=x onerror=alert(1)> ${"long ".repeat(60)}`;
      await worker.ask("report", { ...ref, outcome: "failed", error, logTail: [] });
    }
  }
  await plane.operator.createJob("customers");
  return worker;
}

/** What is wrong with a page for people who see, hear or point differently. */
async function obstacles(page: Page): Promise<string[]> {
  const found = (await page.evaluate(`${axe.source}; axe.run()`)) as axe.AxeResults;
  expect(found.passes.length).toBeGreaterThan(10);
  return found.violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

test("shows jobs and workers, styled, with nothing from elsewhere and nothing that runs", async () => {
  await busyDeployment();

  const { page, troubles } = await opened();

  const jobs = page.getByRole("region", { name: "Jobs" });
  await jobs.getByRole("row", { name: "orders running" }).waitFor();
  await jobs.getByRole("row", { name: "customers pending" }).waitFor();
  const failed = jobs.getByRole("row", { name: "invoices failed" });
  expect(await failed.innerText()).toContain("<img src=x onerror=alert(1)>");
  await page.getByRole("region", { name: "Workers" }).getByRole("row", { name: "i-1 healthy" }).waitFor();
  expect(await page.title()).toBe("1 in trouble – Holdfast");
  // The policy of the page lets its own sheet in.
  expect(await page.evaluate("getComputedStyle(document.querySelector('td.bad')).fontWeight")).toBe("600");
  expect(troubles).toEqual([]);
});

test("an open page follows what happens and leaves its reader in place", async () => {
  // GIVEN a job that runs, and a reader in its table
  await plane.operator.createJob("orders");
  const worker = await plane.worker("i-1").open();
  const [grant] = (await worker.claim()).grants;
  await worker.ask("started", { jobId: grant?.jobId ?? "", fence: grant?.fence ?? 0 });
  const { page, troubles } = await opened();
  await page.getByRole("row", { name: "orders running" }).waitFor();
  const jobs = page.getByRole("region", { name: "Jobs" });
  await jobs.focus();

  // WHEN its worker falls silent
  await plane.pool.query("update leases set expires_at = now() - interval '9 seconds'");

  // THEN the page tells, in its place
  await page.getByRole("row", { name: "orders running, but its worker is silent" }).waitFor();
  await page.getByRole("row", { name: /i-1 silent for \d+ s/ }).waitFor();
  expect(await page.title()).toBe("1 in trouble – Holdfast");
  expect(await page.evaluate("document.activeElement.getAttribute('aria-label')")).toBe("Jobs");

  // WHEN there is another deployment THEN the page has it too
  await send(plane.url, "/api/v1/deployments", plane.operator.token, { name: "second" });
  await page.getByRole("heading", { name: "second" }).waitFor();
  expect(troubles).toEqual([]);
});

test("a page that is paused asks for nothing until it goes on", async () => {
  const { page } = await opened();
  await page.clock.install();
  await page.reload();
  let asked = 0;
  page.on("request", () => {
    asked += 1;
  });

  await page.getByRole("button", { name: "Pause" }).click();
  await page.clock.runFor(60_000);
  expect(asked).toBe(0);

  const answered = page.waitForResponse(plane.url);
  await page.getByRole("button", { name: "Resume" }).click();
  await page.clock.runFor(5_000);
  expect((await answered).status()).toBe(200);
});

test("control-plane 30: an open page asks for itself again before what it shows is two seconds old", async () => {
  const { page } = await opened();
  await page.addInitScript(`
    const set = window.setTimeout;
    window.waits = [];
    window.setTimeout = (done, ms) => set(done, ms, window.waits.push(ms));
  `);
  await page.reload();

  for (let renewal = 0; renewal < 2; renewal++) await page.waitForResponse(plane.url);

  expect(await page.evaluate("Math.max(...waits)")).toBeLessThan(2_000 - SHARED_MS);
});

test("an open page whose control plane is gone says how old it is", async () => {
  await plane.operator.createJob("orders");
  const { page } = await opened();
  await page.getByRole("row", { name: "orders pending" }).waitFor();

  await Promise.all(plane.copies.map(({ controlPlane }) => controlPlane.stop()));

  await page
    .getByRole("status")
    .filter({ hasText: /^What you see is \d+ s old: / })
    .waitFor();
  expect(await page.title()).toBe("No answer – Holdfast");
  await page.getByRole("row", { name: "orders pending" }).waitFor();
});

test("reloads where no script may run", async () => {
  const { page } = await opened({ javaScriptEnabled: false });
  await plane.operator.createJob("orders");
  await page.getByRole("row", { name: "orders pending" }).waitFor();
});

test.each(["light", "dark"] as const)("can be read by everyone, in %s and on a narrow screen", async (colorScheme) => {
  await busyDeployment();

  const { page } = await opened({ colorScheme, viewport: { width: 360, height: 740 } });

  expect(await obstacles(page)).toEqual([]);
  expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
});

test("asks for a token, and shows nothing without", async () => {
  await plane.operator.createJob("orders");
  const { page } = await opened({ httpCredentials: { username: "me", password: "hfo_unknown-token" } });
  expect(await page.locator("body").innerText()).not.toContain("orders");
});

test("a long table keeps its head in sight while its rows are read", async () => {
  await plane.pool.query(
    `insert into jobs (deployment_id, name, source_id, sink_id, tables, snapshot, pool)
     select deployment_id, 'job-' || lpad(n::text, 3, '0'), id, id, '{t}', false, 'default' from datasources, generate_series(1, 200) n`,
  );
  const { page } = await opened();
  const last = page.getByRole("row", { name: "job-200" });
  await last.waitFor();

  await last.scrollIntoViewIfNeeded();

  const head = page.getByRole("region", { name: "Jobs" }).getByRole("columnheader", { name: "State" });
  const [shown, row] = [await head.boundingBox(), await last.boundingBox()];
  const height = page.viewportSize()?.height ?? 0;
  expect(shown?.y).toBeGreaterThanOrEqual(0);
  expect((shown?.y ?? height) + (shown?.height ?? 0)).toBeLessThanOrEqual(row?.y ?? 0);
  expect((row?.y ?? height) + (row?.height ?? 0)).toBeLessThanOrEqual(height);
});
