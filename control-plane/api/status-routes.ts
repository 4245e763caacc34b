import type { Pool } from "pg";
import { type DeploymentStatus, statusPage } from "../portal/status-page";
import { STATUS_SCRIPT } from "../portal/status-script";
import { STATUS_STYLE } from "../portal/status-style";
import { listDeployments } from "../store/inventory";
import { surveyJobs, surveyWorkers } from "../store/survey";
import type { ApiContext } from "./context";
import type { Routes } from "./routes";
import { shared } from "./shared";

/** Who may see the status page: nobody, whoever gives an operator's token as the password, or whoever reaches the port. */
export type StatusPageAccess = "off" | "token" | "open";

/** The page loads nothing but its style sheet and its script, asks nobody but the control plane and is framed by nobody. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
};

/**
 * Whoever asks within so long after another is shown the same. An open page asks again {@link RENEWAL_MS} after an answer: what it shows
 * is then at most two seconds old, with half a second for the next answer and its way.
 */
export const SHARED_MS = 500;

/** Mounts the status page on `/`. An operator of one deployment sees that one. */
export function addStatusRoutes(routes: Routes, { pool }: ApiContext, access: StatusPageAccess): void {
  if (access === "off") return;
  const pageOf = shared(SHARED_MS, async (only: string | null) => await readPage(pool, only));
  routes.addPage("/", access === "open", async (c, holder) =>
    c.html(await pageOf(holder?.deploymentId ?? null), 200, HEADERS),
  );
  for (const [path, text, type] of [
    ["/status.css", STATUS_STYLE, "text/css"],
    ["/status.js", STATUS_SCRIPT, "text/javascript"],
  ] as const) {
    routes.app.get(path, (c) => c.text(text, 200, { ...HEADERS, "content-type": `${type}; charset=utf-8` }));
  }
}

/** @param only a deployment's id; null: all of them */
async function readPage(pool: Pool, only: string | null): Promise<string> {
  const clock = await pool.query<{ at: string }>(
    "select to_char(now() at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS UTC') as at",
  );
  const deployments = await listDeployments(pool, only);
  const shown = deployments.map(async ({ id, name }): Promise<DeploymentStatus> => {
    const [jobs, workers] = await Promise.all([surveyJobs(pool, String(id)), surveyWorkers(pool, String(id))]);
    return { name: String(name), jobs, workers };
  });
  return String(await statusPage(await Promise.all(shown), clock.rows[0]?.at ?? ""));
}
