import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linkedVersion } from "../../../../agent/worker/upgrade/linked-program";
import { DEFAULT_TIMING, LeaseTiming } from "../../../../control-plane/lease/timing";
import { agentAs, linkVersion, Releases } from "../../../../scripts/chaos/releases";
import { eventually } from "../../daemon/eventually";
import { type RunningAgent, useMachine } from "../machine";

/** Long enough for a new version to start and register on a busy machine. */
const GATE_SECONDS = 20;
let directory: string;
let releases: Releases;
let link: string;
let manager: Manager;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "holdfast-upgrade-"));
  releases = await Releases.open(directory);
  link = linkVersion(join(directory, "agents"), "1.0.0", "worker-agent.mjs", agentAs("1.0.0"));
  manager = new Manager();
});
// Before the machine's own: what it ends is not started again.
afterEach(async () => {
  manager.over = true;
  await releases.close();
});

/** A lease that outlasts any start of an agent: what is looked at is the upgrade. No upgrade ends before the database was up for one. */
const machine = useMachine(LeaseTiming.parse({ ...DEFAULT_TIMING, workerLeaseMs: 45_000, serverLeaseMs: 60_000 }));

/** Starts the agent again whenever it fails, as systemd does. */
class Manager {
  over = false;
  readonly lives: RunningAgent[] = [];
  readonly ends: (number | NodeJS.Signals)[] = [];

  start(): RunningAgent {
    const upgrade = { releaseKeyFile: releases.keyFile, gateSeconds: GATE_SECONDS };
    const agent = machine.startAgent("worker-1", { upgrade }, directory, link);
    this.lives.push(agent);
    void agent.ended.then((end) => {
      this.ends.push(end);
      if (!this.over && end !== 0) this.start();
    });
    return agent;
  }

  get log(): string {
    return this.lives.flatMap(({ lines }) => lines).join("\n");
  }
}

const campaign = async () => (await machine.operator.get("/upgrades")).body[0];

/** With the workers that it asked. They are read once: an operator's token has fifty requests a second, most of which the looks take. */
const ended = async () => {
  const over = await eventually(
    "the upgrade has ended",
    async () => {
      const now = await campaign();
      expect(now.state).not.toBe("running");
      return now;
    },
    120_000,
  );
  return { ...over, workers: (await machine.operator.get(`/upgrades/${over.id}/workers`)).body };
};

async function upgrade(release: object): Promise<void> {
  const { status, body } = await machine.operator.post("/upgrades", { ...release, soakMs: 0 });
  expect([status, body.error]).toEqual([200, undefined]);
}

/** A job that runs on the worker, and what must not change about it. */
async function runningJob() {
  const job = await machine.createJob("orders");
  const agent = manager.start();
  await job.reaches("running");
  await eventually("its daemon runs", async () => expect(await agent.daemons()).toHaveLength(1));
  const [before] = await agent.daemons();
  return async () => {
    expect(await agent.daemons()).toEqual([before]);
    await job.source.query("insert into item select max(id) + 1, 'later' from item");
    await job.equal();
    expect((await job.state())["fence"]).toBe(1);
  };
}

test("R31: an agent upgrades itself under a running job, whose daemon goes on, and says that it is healthy", async () => {
  const isUntouched = await runningJob();

  await upgrade(releases.offer("agent", "1.1.0", agentAs("1.1.0")));
  expect(await ended()).toMatchObject({ state: "done", workers: [{ workerId: "worker-1", state: "healthy" }] });

  expect(linkedVersion(link)).toBe("1.1.0");
  expect(manager.ends).toEqual([75]);
  expect((await machine.operator.get("/workers")).body).toMatchObject([{ agentVersion: "1.1.0" }]);
  await isUntouched();
});

test("R31: a version that starts and never registers is rolled back by itself, and the old one serves", async () => {
  const isUntouched = await runningJob();
  const mute = Buffer.from(agentAs("1.1.0").toString().replaceAll("/worker/v1/", "/worker/v0/"));

  await upgrade(releases.offer("agent", "1.1.0", mute));
  expect(await ended()).toMatchObject({
    state: "failed",
    detail: "worker-1: no heartbeat was answered within 20 s",
    workers: [{ state: "rolled_back" }],
  });

  expect(linkedVersion(link)).toBe("1.0.0");
  expect(manager.ends).toEqual([75, "SIGKILL"]);
  expect((await machine.operator.get("/workers")).body).toMatchObject([{ agentVersion: "1.0.0" }]);
  await isUntouched();
});

test("R31: a bad release leaves the version that runs alone, and its process too", async () => {
  const isUntouched = await runningJob();
  const [agent] = manager.lives;

  await upgrade({ ...releases.offer("agent", "1.1.0", agentAs("1.1.0")), signature: "AAAA" });
  expect(await ended()).toMatchObject({ state: "failed", detail: "worker-1: the signature does not verify" });

  expect(linkedVersion(link)).toBe("1.0.0");
  expect(manager.lives).toEqual([agent]);
  await isUntouched();
});
