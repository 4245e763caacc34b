import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { fleetKeys } from "../../../modules/worker-fleet/fleet-keys";
import { workerSlots } from "../../../modules/worker-fleet/worker-slots";
import type { FleetDials } from "../fleet/fleet";
import { jobsFor, type Workers } from "../fleet/fleet-needs";

/** What a rehearsal has to know of a fleet's document; its other keys are the stack's. */
const fleetHead = z.object(
  fleetKeys.pick({ control_plane: true, daemon_release: true, agent_release: true, pools: true }).shape,
);

/** @returns problems, where what has to be known is not sound */
export function workersOf(document: unknown): Workers | z.ZodError {
  const parsed = fleetHead.safeParse(document);
  if (!parsed.success) return parsed.error;
  const { control_plane, daemon_release, agent_release, pools } = parsed.data;
  if (control_plane === undefined) return { obstacle: "its workers take their jobs from queues, which would be empty" };
  const { bucket, region, key_prefix: keyPrefix, version } = daemon_release;
  const ownPools = Object.entries(pools).filter(([, { backlog }]) => backlog.source === "control-plane");
  return {
    needs: {
      token: control_plane.token.secrets_manager_arn === undefined ? "parameter" : "secret",
      daemon: { bucket, region, keyPrefix, version },
      agent: {
        bucket: agent_release.bucket ?? bucket,
        region: agent_release.region ?? region,
        keyPrefix: agent_release.key_prefix,
      },
      pools: ownPools.map(([name, pool]) => {
        const workers = pool.size.initial ?? pool.size.min;
        const { mode, deadline_seconds } = pool.drain;
        const jobs = jobsFor({ workers, slots: workerSlots(pool), mode });
        return { name, workers, jobs, drainDeadlineMs: deadline_seconds * 1_000 };
      }),
    },
  };
}

/** Changes one document of a text that may hold several. @param name of the deployment */
export function withChanged(text: string, name: string, change: (document: YamlDocument) => void): string {
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents)) throw new Error(`${name}: the text holds no document`);
  for (const document of documents) if (document.get("name") === name) change(document);
  return documents.map(String).join("");
}

type YamlDocument = Extract<ReturnType<typeof parseAllDocuments>, readonly unknown[]>[number];

/** The same document with what its workers dial to in place of what it names. @param name of the deployment */
export function withDials(text: string, name: string, dials: FleetDials): string {
  return withChanged(text, name, (document) => {
    document.setIn(["control_plane", "url"], dials.controlPlaneUrl);
    document.setIn(["control_plane", "token"], dials.token);
    document.setIn(["daemon_release", "sha256"], dials.sha256);
    const trusted = document.get("ca_certificates");
    document.set("ca_certificates", `${typeof trusted === "string" ? trusted : ""}${dials.certificate}`);
    document.delete("proxy");
  });
}

/** What {@link withDials} replaces, for the report. */
export const DIALS_REMARKS: readonly string[] = [
  "The control plane is one of this machine, on a PostgreSQL of its own, at another control_plane.url; its certificate stands behind those of ca_certificates, and the document's proxy, where it has one, is left out.",
  "The deployment's token is that control plane's, at another ARN of the same store.",
  "The buckets of the releases hold this build's agent and the reference daemon under the daemon's name and version, with the reference daemon's checksums in daemon_release.sha256.",
  "Jobs replicate tables of a PostgreSQL of this machine; alarms, which would change the number of workers, stay silent.",
];
