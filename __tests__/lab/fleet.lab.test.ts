import { interruptAWorker, loseAWorker, recommendRebalance, refreshWorkers, scaleIn } from "../support/fleet/events";
import { useFleetLab } from "../support/fleet/fleet-lab";
import { inLongForm } from "../support/long-form";

const WORKERS = 3;
const lab = useFleetLab({ workers: WORKERS, jobs: 4, drainDeadlineSeconds: 120 });

test("R21: the fleet's own user data boots every worker to a registered agent, and its jobs replicate", async () => {
  await lab.release({ daemonVersion: "0.1.0" });
  await lab.terraform().init();
  const startedMs = Date.now();
  await lab.terraform().apply();
  const appliedMs = Date.now();
  await lab.inService(WORKERS);
  const jobs = await lab.replicating();
  await lab.replication().begin();

  const launches = await lab.activities("Launching a new EC2 instance");
  const sessions = await lab.replication().sessions();
  expect(sessions).toHaveLength(WORKERS);
  lab.measured({
    "apply ms": appliedMs - startedMs,
    "launched to registered ms": sessions.map(
      ({ workerId, registeredAt }) => registeredAt.getTime() - (launches.get(workerId)?.StartTime?.getTime() ?? 0),
    ),
  });

  // Each daemon is a service of its own on the worker that its job was given to, under the job's fence.
  for (const { id, workerId, fence } of jobs) {
    const unit = `holdfast-job-${id}-${fence}.service`;
    expect(await lab.machine(workerId ?? "").exec("systemctl", "is-active", unit)).toBe("active");
  }
});

test("a lost worker's jobs run elsewhere when its lease is over, and another takes its place", () => loseAWorker(lab));

inLongForm(() => {
  test("a worker that Spot takes hands its jobs over in time, and is replaced", () => interruptAWorker(lab));

  test("a worker that is recommended to leave hands its jobs over", () => recommendRebalance(lab));

  test("a group that shrinks takes no worker that holds a job", () => scaleIn(lab));

  test("a change of the configuration replaces every worker, each after its drain", () =>
    refreshWorkers(lab, "instance refresh", { daemonVersion: "0.1.0", labels: { ring: "second" } }));
});

test("a new release of the daemon replaces every worker, each after its drain", () =>
  refreshWorkers(lab, "new daemon", { daemonVersion: "0.2.0" }));

test("after all of it the sinks hold the rows of the sources, and no two daemons ever ran one job", async () => {
  const { transactions } = lab.replication();
  const tables = await lab.replication().settle();
  const { violations, claims, writes } = await lab.replication().fencing();

  expect(violations).toEqual([]);
  expect(tables.map(({ differences }) => differences)).toEqual(tables.map(() => []));
  const rows = tables.map(({ sinkRows }) => sinkRows);
  expect(rows).toEqual(tables.map(({ sourceRows }) => sourceRows));
  expect(Math.min(...rows)).toBeGreaterThan(0);
  expect(transactions).toBeGreaterThan(0);
  lab.measured({ "rows equal in each sink": rows, transactions, claims, writes });
});
