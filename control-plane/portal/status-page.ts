/** The status page: one table of workers and one of jobs for each deployment, as HTML that is whole without its script. */
import { html } from "hono/html";

type Html = ReturnType<typeof html>;

export interface WorkerStatus {
  readonly workerId: string;
  readonly pool: string;
  readonly slots: number;
  readonly jobs: number;
  readonly draining: boolean;
  /** How long ago its lease ran out; 0 while it is valid. */
  readonly silentMs: number;
  readonly agentVersion: string;
}

export interface JobStatus {
  readonly name: string;
  readonly state: string;
  readonly desired: string;
  readonly phase: string | null;
  readonly workerId: string | null;
  readonly source: string;
  readonly sink: string;
  readonly failures: number;
  readonly lastError: string | null;
  readonly gapAfter: string | null;
  readonly metrics: { readonly lagMs: number; readonly eventsPerSecond: number } | null;
  /** Age of the figures. */
  readonly metricsAgeMs: number | null;
}

export interface DeploymentStatus {
  readonly name: string;
  readonly workers: readonly WorkerStatus[];
  readonly jobs: readonly JobStatus[];
}

/** More rows than a person reads; the command line lists them all. */
const MOST_ROWS = 500;
/** Workers push figures each minute: older ones say nothing about now. */
const FRESH_MS = 150_000;

/** A condition in words, and how urgent it is: a colour alone would tell some people nothing. */
interface Condition {
  readonly text: string;
  readonly level: "good" | "quiet" | "warn" | "bad";
}

/** Where no script may run. A page that is loaded anew loses its reader's place: not as often as one that is renewed in place. */
const RELOAD_SECONDS = 5;

export function statusPage(deployments: readonly DeploymentStatus[], at: string): Html {
  const sections = deployments.map(judged);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<noscript><meta http-equiv="refresh" content="${RELOAD_SECONDS}"></noscript>
<title>${title(sections)}</title>
<link rel="stylesheet" href="/status.css">
<script src="/status.js" defer></script>
</head>
<body>
<header>
<h1>Holdfast</h1>
<p>As of <time id="at" data-live>${at}</time> by the database's clock<noscript>, reloaded every ${RELOAD_SECONDS} seconds</noscript></p>
<button type="button" hidden>Pause</button>
<p class="bad" role="status"></p>
</header>
<main>
${sections.map(deploymentSection)}
${deployments.length === 0 ? html`<p>There is no deployment yet: <code>holdfast deployment create &lt;name&gt;</code></p>` : ""}
</main>
</body>
</html>`;
}

interface JudgedJob extends JobStatus {
  readonly condition: Condition;
}

interface JudgedWorker extends WorkerStatus {
  readonly condition: Condition;
}

interface JudgedDeployment extends DeploymentStatus {
  /** The most urgent first. */
  readonly jobs: readonly JudgedJob[];
  /** The most urgent first. */
  readonly workers: readonly JudgedWorker[];
}

const URGENCY = ["bad", "warn", "good", "quiet"];

function judged({ name, workers, jobs }: DeploymentStatus): JudgedDeployment {
  const byId = new Map(workers.map((worker) => [worker.workerId, worker]));
  return {
    name,
    workers: byUrgency(workers.map((worker) => ({ ...worker, condition: workerCondition(worker) }))),
    jobs: byUrgency(jobs.map((job) => ({ ...job, condition: jobCondition(job, byId.get(job.workerId ?? "")) }))),
  };
}

function byUrgency<Judged extends { readonly condition: Condition }>(all: readonly Judged[]): Judged[] {
  return URGENCY.flatMap((level) => all.filter(({ condition }) => condition.level === level));
}

/** What a tab shows: the worst first. */
function title(deployments: readonly JudgedDeployment[]): string {
  const bad = deployments.flatMap(({ jobs }) => jobs.filter(({ condition }) => condition.level === "bad")).length;
  return bad === 0 ? "Holdfast" : `${bad} in trouble – Holdfast`;
}

function deploymentSection({ name, workers, jobs }: JudgedDeployment): Html {
  const id = `deployment-${name}`;
  return html`
<section aria-labelledby="${id}">
<h2 id="${id}">${name}</h2>
<p id="${id}-summary" data-live>${summary(workers, jobs)}</p>
${table(id, "Jobs", ["Job", "State", "Phase", "Worker", "From", "To", "Lag", "Changes/s", "Failures"], jobs, jobRow)}
${table(id, "Workers", ["Worker", "State", "Pool", "Jobs", "Slots", "Agent"], workers, workerRow)}
</section>`;
}

function summary(workers: readonly WorkerStatus[], jobs: readonly JobStatus[]): string {
  const states = new Map<string, number>();
  for (const { state } of jobs) states.set(state, (states.get(state) ?? 0) + 1);
  const counts = [...states].map(([state, count]) => `${count} ${state}`).join(", ");
  const slots = workers.reduce((sum, worker) => sum + worker.slots, 0);
  const shown = counts && ` (${counts})`;
  const silent = workers.filter(({ silentMs }) => silentMs > 0).length;
  const unheard = silent > 0 ? ` (${silent} silent)` : "";
  return `${count(jobs.length, "job")}${shown}, ${count(workers.length, "worker")}${unheard} with ${count(slots, "slot")}`;
}

const NUMBERS = new Set(["Lag", "Changes/s", "Failures", "Jobs", "Slots"]);

const count = (amount: number, noun: string): string => `${amount} ${noun}${amount === 1 ? "" : "s"}`;

function table<Row>(
  section: string,
  caption: string,
  head: readonly string[],
  rows: readonly Row[],
  render: (row: Row) => Html,
): Html {
  const left = rows.length - MOST_ROWS;
  return html`
<div class="scroll" role="region" aria-label="${caption}" tabindex="0">
<table>
<caption>${caption}</caption>
<thead><tr>${head.map((cell) => html`<th scope="col" class="${NUMBERS.has(cell) ? "number" : ""}">${cell}</th>`)}</tr></thead>
<tbody id="${section}-${caption}" data-live>${rows.slice(0, MOST_ROWS).map(render)}</tbody>
</table>
</div>
<p id="${section}-${caption}-left" data-live>${rows.length === 0 ? "None." : ""}${
    left > 0 ? html`${left} more are not shown; <code>holdfast</code> lists them all.` : ""
  }</p>`;
}

function jobRow({ condition, ...job }: JudgedJob): Html {
  const isFresh = job.state === "running" && job.metricsAgeMs !== null && job.metricsAgeMs < FRESH_MS;
  const figures = isFresh ? job.metrics : null;
  const detail = job.lastError !== null && condition.level !== "good" ? html`<small>${job.lastError}</small>` : "";
  return html`<tr>
<th scope="row">${job.name}</th><td class="${condition.level}">${condition.text}${detail}</td><td>${job.phase ?? ""}</td>
<td>${job.workerId ?? ""}</td><td>${job.source}</td><td>${job.sink}</td>
<td class="number">${figures ? `${(figures.lagMs / 1_000).toFixed(1)} s` : ""}</td>
<td class="number">${figures ? figures.eventsPerSecond.toFixed(0) : ""}</td><td class="number">${job.failures}</td></tr>`;
}

/** What is true of a job, never better than it is: one whose worker is silent, or that has none, is not said to run. */
export function jobCondition(job: JobStatus, holder: WorkerStatus | undefined): Condition {
  const { state, desired } = job;
  if (state === "failed") return { text: "failed", level: "bad" };
  if (state === "running" || state === "starting") {
    if (!holder || holder.silentMs > 0) return { text: `${state}, but its worker is silent`, level: "bad" };
    if (desired !== "run") return { text: `${state}, asked to ${desired}`, level: "warn" };
    if (job.gapAfter !== null) return { text: `${state}, changes may be missing after ${job.gapAfter}`, level: "bad" };
    return { text: state, level: state === "running" ? "good" : "warn" };
  }
  if (state === "pending") return { text: job.failures > 0 ? "pending, after a failure" : "pending", level: "warn" };
  return { text: state, level: "quiet" };
}

function workerRow({ condition, ...worker }: JudgedWorker): Html {
  return html`<tr>
<th scope="row">${worker.workerId}</th><td class="${condition.level}">${condition.text}</td><td>${worker.pool}</td>
<td class="number">${worker.jobs}</td><td class="number">${worker.slots}</td><td>${worker.agentVersion}</td></tr>`;
}

/** One that is silent and holds nothing may well be gone for good, as its jobs are: its session is closed in time. */
function workerCondition({ silentMs, draining, jobs }: WorkerStatus): Condition {
  const silence = `silent for ${Math.round(silentMs / 1_000)} s`;
  if (silentMs > 0)
    return jobs > 0 ? { text: silence, level: "bad" } : { text: `${silence}, holds no job`, level: "warn" };
  return draining ? { text: "draining", level: "warn" } : { text: "healthy", level: "good" };
}
