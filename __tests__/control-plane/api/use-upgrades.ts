import { randomUUID } from "node:crypto";
import { DEFAULT_TIMING } from "../../../control-plane/lease/timing";
import { advanceUpgrades } from "../../../control-plane/store/upgrades";
import { RELEASE as RELEASED } from "./call-stage";
import { TestWorker } from "./clients";
import { useControlPlane } from "./use-control-plane";

/** A lease so short that the database has been up for one. */
export const QUICK = { ...DEFAULT_TIMING, serverLeaseMs: 1 };

export const RELEASE = { ...RELEASED, soakMs: 0 };

/** A control plane whose upgrades go on when a test says so, and workers that may be asked to upgrade. */
export function useUpgrades() {
  const plane = useControlPlane();

  const upSince = (ago: string) => plane.pool.query("update pulse set up_since = now() - $1::interval", [ago]);

  // The copy's own steps would come between those of the tests.
  beforeEach(async () => {
    await upSince("1 hour");
    await plane.pool.query(
      "insert into duties values ('upgrades', 'infinity') on conflict (name) do update set due_at = excluded.due_at",
    );
  });

  async function worker(workerId: string, agentVersion = "1.0.0", sessionId = randomUUID()): Promise<TestWorker> {
    const created = new TestWorker(plane.url, plane.operator.deploymentToken, workerId, sessionId);
    created.features = ["upgrade"];
    created.agentVersion = agentVersion;
    return await created.open();
  }

  async function create(props: object = {}): Promise<string> {
    const { status, body } = await plane.operator.post("/upgrades", { ...RELEASE, ...props });
    expect([status, body.error]).toEqual([200, undefined]);
    return body.id;
  }

  const step = (timing = QUICK) => advanceUpgrades(plane.pool, timing);

  /** Lets a worker's lease run out. */
  async function silence(workerId: string): Promise<void> {
    await plane.pool.query(
      "update leases set expires_at = now() where session_id in (select id from sessions where worker_id = $1)",
      [workerId],
    );
  }

  /** The worker as it comes back with the version that it was asked for, and says so. */
  async function upgraded(workerId: string, campaignId: string): Promise<TestWorker> {
    const renewed = await worker(workerId, "2.0.0");
    await renewed.beat({ upgrade: { campaignId, state: "healthy" } });
    return renewed;
  }

  const endSoak = () =>
    plane.pool.query("update upgrade_workers set settled_at = now() - interval '2 hours' where settled_at is not null");

  /** Versions the workers are asked for, one step later. */
  async function asked(...workers: readonly TestWorker[]): Promise<(string | undefined)[]> {
    await step();
    const versions = [];
    for (const each of workers) {
      const action = (await each.beat()).actions.find(({ kind }) => kind === "upgrade");
      versions.push(action?.kind === "upgrade" ? action.version : undefined);
    }
    return versions;
  }

  const shown = async () => (await plane.operator.get("/upgrades")).body[0];

  return { plane, upSince, worker, create, step, silence, upgraded, endSoak, asked, shown };
}
