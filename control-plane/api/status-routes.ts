import { type DeploymentStatus, type JobStatus, statusPage, type WorkerStatus } from "../portal/status-page";
import { STATUS_SCRIPT } from "../portal/status-script";
import { STATUS_STYLE } from "../portal/status-style";
import { listDeployments, surveyJobs, surveyWorkers } from "../store/inventory";
import type { ApiContext } from "./context";
import type { Routes } from "./routes";

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

/** Mounts the status page on `/`. An operator of one deployment sees that one. */
export function addStatusRoutes(routes: Routes, { pool }: ApiContext, access: StatusPageAccess): void {
  if (access === "off") return;
  routes.addPage("/", access === "open", async (c, holder) => {
    const clock = await pool.query<{ at: string }>(
      "select to_char(now() at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS UTC') as at",
    );
    const deployments = await listDeployments(pool, holder?.deploymentId ?? null);
    const shown = await Promise.all(
      deployments.map(
        async ({ id, name }): Promise<DeploymentStatus> => ({
          name: String(name),
          jobs: (await surveyJobs(pool, String(id))) as unknown as JobStatus[],
          workers: (await surveyWorkers(pool, String(id))) as unknown as WorkerStatus[],
        }),
      ),
    );
    return c.html(statusPage(shown, clock.rows[0]?.at ?? ""), 200, HEADERS);
  });
  for (const [path, text, type] of [
    ["/status.css", STATUS_STYLE, "text/css"],
    ["/status.js", STATUS_SCRIPT, "text/javascript"],
  ] as const) {
    routes.app.get(path, (c) => c.text(text, 200, { ...HEADERS, "content-type": `${type}; charset=utf-8` }));
  }
}
