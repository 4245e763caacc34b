import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { lastToFirst } from "../../last-to-first";
import type { Lab } from "../machines/lab";
import { startControlPlane } from "./control-plane";
import { type Database, startDatabases } from "./databases";
import { storeToken, type TokenReference } from "./deployment-token";
import type { FleetNeeds } from "./fleet-needs";
import { type Certificate, certificateOf, openGate } from "./gate";
import { type Checksums, openReleases, type Releases } from "./releases";
import { type Replication, replicationOf } from "./replication";

/** What a document has to say so that its workers find what they dial to. */
export interface FleetDials {
  readonly controlPlaneUrl: string;
  /** In PEM: what workers must trust for it. */
  readonly certificate: string;
  readonly token: TokenReference;
  /** Of the daemon. */
  readonly sha256: Checksums;
}

/** What the workers of a fleet dial to, beside an emulated AWS: a control plane, releases, and databases with jobs between them. */
export interface Fleet {
  readonly needs: FleetNeeds;
  readonly dials: FleetDials;
  readonly replication: Replication;
  readonly releases: Releases;
  /** Ends all of it, also where a part fails to end. @throws Error of the first that did */
  stop(): Promise<void>;
}

export interface FleetProps {
  /** Whose machines are the workers. */
  readonly lab: Pick<Lab, "network" | "directory" | "adopt">;
  /** Of the emulated AWS. */
  readonly url: string;
  readonly region: string;
  /** Name of the deployment. */
  readonly name: string;
  readonly needs: FleetNeeds;
}

/** @throws Error where PostgreSQL or openssl is not there, or a part does not come up: what was started is ended again */
export async function openFleet({ lab, url, region, name, needs }: FleetProps): Promise<Fleet> {
  const steps: (() => Promise<unknown>)[] = [];
  const stop = () => lastToFirst(steps.splice(0));
  const host = lab.network.hostAddress;
  const gate = async (to: string, tls?: Certificate) => {
    const opened = await openGate(host, Number(new URL(to).port), tls);
    steps.push(() => opened.close());
    return opened.port;
  };
  try {
    const directory = join(lab.directory, "fleet");
    await mkdir(directory, { mode: 0o711 });
    const databases = await startDatabases(directory, lab.adopt);
    steps.push(() => databases.stop());
    const controlPlane = await startControlPlane({ directory, databaseUrl: databases.store.url, adopt: lab.adopt });
    steps.push(() => controlPlane.stop());

    const { api } = controlPlane;
    const { id } = await api.post("/api/v1/deployments", { name }, z.object({ id: z.string() }));
    const base = `/api/v1/deployments/${id}`;
    const issued = await api.post(`${base}/tokens`, { kind: "deployment" }, z.object({ token: z.string() }));
    const releases = await openReleases(url, needs);
    const tls = certificateOf(host);
    const dials: FleetDials = {
      controlPlaneUrl: `https://${host}:${await gate(api.url, tls)}`,
      certificate: tls.certificate,
      token: await storeToken(url, region, needs.token, issued.token),
      sha256: await releases.daemon(needs.daemon.version),
    };

    const port = await gate(databases.source.url);
    const reached = (database: Database) => {
      const there = new URL(database.url);
      there.host = `${host}:${port}`;
      return there;
    };
    const replication = replicationOf({ databases, api, base, reached, pools: needs.pools });
    steps.push(() => replication.stop());
    return { needs, dials, replication, releases, stop };
  } catch (error) {
    // Why the fleet did not come up says more than what then failed to end.
    await stop().catch(() => undefined);
    throw error;
  }
}
