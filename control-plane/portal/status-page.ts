/** The status page: one table of workers and one of jobs for each deployment, as HTML that is whole without its script. */
import { html } from "hono/html";
import type { JobStatus, JobSurvey, WorkerStatus, WorkerSurvey } from "../store/survey";

type Html = ReturnType<typeof html>;

export interface DeploymentStatus {
  readonly name: string;
  readonly workers: WorkerSurvey;
  readonly jobs: JobSurvey;
}

/** Workers push figures each minute: older ones say nothing about now. */
const FRESH_MS = 150_000;

/** Where no script may run. A page that is loaded anew loses its reader's place: not as often as one that is renewed in place. */
const RELOAD_SECONDS = 5;

export function statusPage(deployments: readonly DeploymentStatus[], at: string): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<noscript><meta http-equiv="refresh" content="${RELOAD_SECONDS}"></noscript>
<title>${title(deployments)}</title>
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
${deployments.map(deploymentSection)}
${deployments.length === 0 ? html`<p>There is no deployment yet: <code>holdfast deployment create &lt;name&gt;</code></p>` : ""}
</main>
</body>
</html>`;
}

/** What a tab shows: the worst first. */
function title(deployments: readonly DeploymentStatus[]): string {
  const bad = sum(deployments.map(({ jobs }) => inTrouble(jobs)));
  return bad === 0 ? "Holdfast" : `${bad} in trouble – Holdfast`;
}

const inTrouble = ({ states }: JobSurvey): number => sum(states.map(({ bad }) => bad));

function deploymentSection({ name, workers, jobs }: DeploymentStatus): Html {
  const id = `deployment-${name}`;
  const all = sum(jobs.states.map((state) => state.count));
  const bad = inTrouble(jobs);
  return html`
<section aria-labelledby="${id}">
<h2 id="${id}">${name}</h2>
<p id="${id}-summary" data-live>${bad > 0 ? html`<strong class="bad">${bad} in trouble</strong> – ` : ""}${summary(workers, jobs, all)}</p>
${table(id, "Jobs", ["Job", "State", "Phase", "Lag", "Changes/s", "Failures", "Worker", "From", "To"], jobs.shown.map(jobRow), all)}
${table(id, "Workers", ["Worker", "State", "Jobs", "Slots", "Pool", "Agent"], workers.shown.map(workerRow), workers.count)}
</section>`;
}

function summary(workers: WorkerSurvey, jobs: JobSurvey, allJobs: number): string {
  const counts = jobs.states.map(({ state, count }) => `${count} ${state}`).join(", ");
  const shown = counts && ` (${counts})`;
  const unheard = workers.silent > 0 ? ` (${workers.silent} silent)` : "";
  return `${count(allJobs, "job")}${shown}, ${count(workers.count, "worker")}${unheard} with ${count(workers.slots, "slot")}`;
}

const sum = (amounts: readonly number[]): number => amounts.reduce((all, amount) => all + amount, 0);

const NUMBERS = new Set(["Lag", "Changes/s", "Failures", "Jobs", "Slots"]);

const count = (amount: number, noun: string): string => `${amount} ${noun}${amount === 1 ? "" : "s"}`;

/** How many of each make one of the next, and from how many on the next says as much in fewer digits. */
const UNITS = [
  { unit: "s", inNext: 60, most: 120 },
  { unit: "min", inNext: 60, most: 120 },
  { unit: "h", inNext: 24, most: 48 },
] as const;

/** @param digits of seconds, after the point */
function duration(ms: number, digits: number): string {
  let amount = ms / 1_000;
  for (const { unit, inNext, most } of UNITS) {
    if (amount < most) return `${unit === "s" ? amount.toFixed(digits) : Math.floor(amount)} ${unit}`;
    amount /= inNext;
  }
  return `${Math.floor(amount)} d`;
}

/** @param all how many rows there are, of which the most urgent are shown */
function table(section: string, caption: string, head: readonly string[], rows: readonly Html[], all: number): Html {
  const left = all - rows.length;
  return html`
<div class="scroll" role="region" aria-label="${caption}" tabindex="0">
<table>
<caption>${caption}</caption>
<thead><tr>${head.map((cell) => html`<th scope="col" class="${NUMBERS.has(cell) ? "number" : ""}">${cell}</th>`)}</tr></thead>
<tbody id="${section}-${caption}" data-live>${rows}</tbody>
</table>
</div>
<p id="${section}-${caption}-left" data-live>${all === 0 ? "None." : ""}${
    left > 0 ? html`${left} more are not shown; <code>holdfast</code> lists them all.` : ""
  }</p>`;
}

function jobRow(job: JobStatus): Html {
  const isFresh = job.state === "running" && job.metricsAgeMs !== null && job.metricsAgeMs < FRESH_MS;
  const figures = isFresh ? job.metrics : null;
  const detail = job.lastError !== null && job.level !== "good" ? html`<small>${job.lastError}</small>` : "";
  return html`<tr>
<th scope="row">${job.name}</th><td class="${job.level}">${jobCondition(job)}${detail}</td><td>${job.phase ?? ""}</td>
<td class="number">${figures ? duration(figures.lagMs, 1) : ""}</td>
<td class="number">${figures ? RATE.format(figures.eventsPerSecond) : ""}</td><td class="number">${job.failures}</td>
<td>${job.workerId ?? ""}</td><td>${job.source}</td><td>${job.sink}</td></tr>`;
}

const RATE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** In words, as a colour alone would tell some people nothing. */
function jobCondition({ state, desired, isHeld, gapAfter, failures }: JobStatus): string {
  if (state === "running" || state === "starting") {
    if (!isHeld) return `${state}, but its worker is silent`;
    if (desired !== "run") return `${state}, asked to ${desired}`;
    if (gapAfter !== null) return `${state}, changes may be missing after ${gapAfter || "an unknown position"}`;
  }
  return state === "pending" && failures > 0 ? "pending, after a failure" : state;
}

function workerRow(worker: WorkerStatus): Html {
  return html`<tr>
<th scope="row">${worker.workerId}</th><td class="${worker.level}">${workerCondition(worker)}</td>
<td class="number">${worker.jobs}</td><td class="number">${worker.slots}</td><td>${worker.pool}</td><td>${worker.agentVersion}</td></tr>`;
}

function workerCondition({ silentMs, draining, jobs }: WorkerStatus): string {
  if (silentMs > 0) return `silent for ${duration(silentMs, 0)}${jobs > 0 ? "" : ", holds no job"}`;
  return draining ? "draining" : "healthy";
}
