import { interruptAWorker, loseAWorker, refreshWorkers, scaleIn } from "../support/fleet/events";
import { useFleetLab } from "../support/fleet/fleet-lab";
import { inLongForm } from "../support/long-form";

const WORKERS = 3;
const lab = useFleetLab({ workers: WORKERS, slots: 2, drainDeadlineSeconds: 120 });

test("R21: the fleet's own user data boots every worker to a registered agent, and its jobs replicate", async () => {
  await lab.release({ daemonVersion: "0.1.0" });
  await lab.terraform().init();
  const startedMs = Date.now();
  await lab.terraform().apply();
  const appliedMs = Date.now();
  await lab.inService(WORKERS);
  await lab.replication().begin();
  expect((await lab.replicating()).length).toBe(WORKERS + 1);
  await lab.replication().write();

  const launches = await lab.activities("Launching a new EC2 instance");
  const bootsMs: number[] = [];
  for (const { instanceId } of await lab.workers()) {
    const session = (await lab.replication().sessions()).find(({ workerId }) => workerId === instanceId);
    expect(session?.daemonVersion).toBe("0.1.0");
    bootsMs.push((session?.registeredAt.getTime() ?? 0) - (launches.get(instanceId)?.StartTime?.getTime() ?? 0));
  }
  lab.measured({ "apply ms": appliedMs - startedMs, "launched to registered ms": bootsMs });

  await lab.until("each job is a service of the worker that it was given to, under its fence", async () => {
    const jobs = await lab.replication().jobs();
    const services = jobs.map(async ({ id, workerId, fence }) =>
      lab.machine(workerId ?? "").exec("systemctl", "is-active", `holdfast-job-${id}-${fence}.service`),
    );
    return (await Promise.allSettled(services)).every(({ status }) => status === "fulfilled");
  });
});

test("a lost worker's jobs run elsewhere when its lease is over, and another takes its place", () => loseAWorker(lab));

inLongForm(() => {
  test("a worker that Spot takes hands its jobs over in time, and is replaced", () => interruptAWorker(lab));

  test("a new release of the daemon replaces every worker, each after its drain", () =>
    refreshWorkers(lab, "new daemon", { daemonVersion: "0.2.0" }));

  test("a change of the configuration replaces every worker, each after its drain", () =>
    refreshWorkers(lab, "instance refresh", { daemonVersion: "0.2.0", labels: { ring: "second" } }));

  test("a worker that is recommended to leave hands its jobs over, and a group that shrinks takes it and no other", () =>
    scaleIn(lab));
});

test("after all of it the sinks hold the rows of the sources, and no two daemons ever ran one job", async () => {
  await lab.replication().stop();
  await lab.until("the rows of every sink are its source's", async () =>
    (await lab.replication().compare()).every(({ differences }) => differences.length === 0),
  );
  const tables = await lab.replication().compare();
  const { violations, claims, writes } = await lab.replication().fencing();

  expect(violations).toEqual([]);
  const rows = tables.map(({ sinkRows }) => sinkRows);
  expect(rows).toEqual(tables.map(({ sourceRows }) => sourceRows));
  expect(Math.min(...rows)).toBeGreaterThan(0);
  const { transactions } = lab.replication();
  expect(transactions).toBeGreaterThan(0);
  lab.measured({ "rows equal in each sink": rows, transactions, claims, writes });
});
