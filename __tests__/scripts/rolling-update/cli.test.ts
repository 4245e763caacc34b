import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { progress } from "../../../scripts/rolling-update/cli/progress";
import { rollCommand } from "../../../scripts/rolling-update/cli/roll-command";
import type { Surroundings } from "../../../scripts/rolling-update/cli/surroundings";
import { eventSchema } from "../../../scripts/rolling-update/events";
import { planSchema } from "../../../scripts/rolling-update/plan";
import { parseSettings } from "../../../scripts/rolling-update/settings";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { Monitor } from "../../../scripts/rolling-update/simulator/monitor";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { startRoll } from "../../support/rolling";

const folder = mkdtempSync(join(tmpdir(), "holdfast-cli-"));
const manifestFile = join(folder, "orders.json");
afterAll(() => rmSync(folder, { recursive: true }));

const noChannel = { run: () => Promise.reject(new Error("no node is reached in these tests")) };

/** `holdfast roll …` against the simulator; nothing of the machine's own credentials is used. */
async function cli(aws: SimulatedAws, store: MemoryStore, ...given: (string | { manifest: unknown })[]) {
  const args = given.filter((arg) => typeof arg === "string");
  const { manifest } = given.find((arg) => typeof arg !== "string") ?? { manifest: aws.deployment() };
  if (manifest !== undefined) writeFileSync(manifestFile, JSON.stringify(manifest));
  const process = aws.clock.process();
  const out: string[] = [];
  const sink = { isTTY: false, write: (text: string) => out.push(text) } as unknown as NodeJS.WriteStream;
  const surroundings: Surroundings = {
    connect: () => ({ cloud: aws.connect(process), store: store.connect(process), channel: noChannel }),
    refreshes: () => {
      throw new Error("no pool is reached in these tests");
    },
    clock: process,
    stdout: sink,
    stderr: sink,
    telling: progress,
    probe: aws.guests.probe(process, () => 0),
  };
  let code: number | undefined;
  const command = rollCommand(surroundings, (value) => {
    code = value;
  });
  const done = command.parseAsync(manifest === undefined ? args : [...args, "--cluster", manifestFile], {
    from: "user",
  });
  await aws.clock.run(done);
  return { code, out: out.join(""), lines: out.join("").trim().split("\n") };
}

/** A node on its first template version that is to go to the second, as `roll plan --json` shows it. */
const planned = (node: string, zone: string, order: number, risks: readonly string[]) => ({
  node,
  group: `orders-node-${node}`,
  zone: `eu-west-1${zone}`,
  instance: `i-0000000000000000${order}`,
  current: { id: `lt-${node}`, version: 1 },
  target: { id: `lt-${node}`, version: 2 },
  reason: "other version",
  order,
  risks,
});

describe("holdfast roll", () => {
  test("R1: run without --yes plans, changes nothing and ends with 2; a cluster on its target ends with 0", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    expect(await cli(aws, store, "plan")).toMatchObject({ code: 0 });
    aws.release();

    const shown = await cli(aws, store, "run");
    const json = await cli(aws, store, "plan", "--json");

    expect(shown.code).toBe(2);
    expect(shown.out).toContain("1. node 00 (i-00000000000000001): lt-00:1 -> lt-00:2, other version");
    expect(json.code).toBe(2);
    expect(planSchema.parse(JSON.parse(json.out))).toEqual({
      cluster: "orders",
      nodes: expect.any(Array),
      refusals: [],
    });
    expect(JSON.parse(json.out).nodes).toEqual([
      planned("00", "a", 1, []),
      planned("01", "b", 2, []),
      planned("02", "c", 3, ["leads the cluster: its leadership moves"]),
    ]);
    expect(aws.mutations).toEqual([]);
    expect((await store.list("")).size).toBe(0);
  });

  test("R16: a time limit the hook does not allow is refused by the plan, by its name", async () => {
    const aws = await SimulatedAws.running({ hook: { heartbeatMs: 3_600_000, globalMs: 7_200_000 } });
    aws.release();

    const { code, out } = await cli(aws, new MemoryStore(), "plan", "--launch-timeout", "4h");

    expect(code).toBe(6);
    expect(out).toContain("launchTimeoutMs (14400000)");
    expect(aws.mutations).toEqual([]);
  });

  test("R21: without a terminal every line is JSON, the outcome too", async () => {
    const aws = await SimulatedAws.running();
    aws.release({}, ["00"]);

    const { lines } = await cli(aws, new MemoryStore(), "run", "--yes");

    expect(() => lines.map((line) => JSON.parse(line))).not.toThrow();
  });

  test("R25: run --yes prints one event a line and the outcome, and ends with 0", async () => {
    const aws = await SimulatedAws.running();
    aws.release();

    const { code, lines } = await cli(aws, new MemoryStore(), "run", "--yes", "--json", "--successes", "2");

    expect(code).toBe(0);
    const events = lines.slice(0, -1).map((line) => eventSchema.parse(JSON.parse(line)));
    expect(events.at(-1)?.kind).toBe("finished");
    expect(JSON.parse(lines.at(-1) ?? "")).toEqual({ outcome: { status: "done", replaced: ["00", "01", "02"] } });
  });

  test("R15: a failing node ends with 1, and says why and what is next", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release({ boot: "fails" });

    const { code, out } = await cli(aws, store, "run", "--yes");
    const status = await cli(aws, store, "status");

    expect(code).toBe(1);
    expect(out).toContain("HOOK_ABANDONED");
    expect(out).toContain("holdfast roll rollback --yes");
    expect(status.code).toBe(0);
    expect(status.out).toContain("node 00: failed");
    expect(status.out).toContain("nobody is rolling this cluster");
  });

  test("R18: rollback --yes ends with 8", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release({ boot: "fails" });
    await cli(aws, store, "run", "--yes");

    const shown = await cli(aws, store, "rollback");
    expect(shown).toMatchObject({ code: 2, out: expect.stringContaining("node 00: lt-00:2 -> lt-00:1") });
    const { code } = await cli(aws, store, "rollback", "--yes");

    expect(code).toBe(8);
    expect(aws.group("orders-node-00").instances[0]?.template?.version).toBe("1");
  });

  test("R13: pausing after the first node ends with 3, resume --confirm with 0", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release();

    expect((await cli(aws, store, "run", "--yes", "--confirm-after-first")).code).toBe(3);
    expect((await cli(aws, store, "resume", "--confirm")).code).toBe(0);
  });

  test.each([
    { interrupted: "once", atMs: [0], replaced: ["00"], says: "stopping after the current node" },
    { interrupted: "by a Ctrl-C that npm passes on", atMs: [0, 3], replaced: ["00"], says: "after the current node" },
    { interrupted: "again after a second", atMs: [0, 1_000], replaced: [], says: "stopping now" },
  ])(
    "R19: interrupted $interrupted it ends with 3, and resume goes on to the end",
    async ({ atMs, replaced, says }) => {
      const aws = await SimulatedAws.running();
      const store = new MemoryStore();
      aws.release();
      aws.clock.after(60_000, () => {
        const clock = jest.spyOn(performance, "now");
        for (const ms of atMs) {
          clock.mockReturnValue(ms);
          process.emit("SIGINT");
        }
        clock.mockRestore();
      });

      const { code, lines, out } = await cli(aws, store, "run", "--yes");

      expect(code).toBe(3);
      expect(JSON.parse(lines.at(-1) ?? "")).toEqual({ outcome: { status: "paused", replaced } });
      expect(out).toContain(says);
      expect((await cli(aws, store, "resume")).code).toBe(0);
    },
  );

  test("R19: a terminal that is closed is an interrupt: the node is finished, and resume goes on", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release();
    aws.clock.after(60_000, () => void process.emit("SIGHUP"));

    const { code, lines } = await cli(aws, store, "run", "--yes");

    expect(code).toBe(3);
    expect(JSON.parse(lines.at(-1) ?? "")).toEqual({ outcome: { status: "paused", replaced: ["00"] } });
    expect(process.listenerCount("SIGHUP")).toBe(0);
    expect((await cli(aws, store, "resume")).code).toBe(0);
  });

  test("R8: a roller that was killed is told as dead, not as rolling, and nobody asks it to pause", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release();
    const first = aws.clock.process();
    const killed = startRoll(aws, {
      store,
      process: first,
      owner: "ana@laptop",
      connection: {
        around: async (method, call) => {
          const answer = await call();
          if (method === "terminate") first.kill();
          return answer;
        },
      },
    });
    await aws.clock.run(killed.done, 600_000);

    const status = await cli(aws, store, "status");
    const pause = await cli(aws, store, "pause");
    const abort = await cli(aws, store, "abort", "--json");

    expect(status.out).toMatch(/^roll \S+ \(forward\): died\n/);
    expect(status.out).toMatch(/^ana@laptop rolled this cluster, and was heard of last \d+ min( \d+ s)? ago$/m);
    expect(status.out).toContain("its group is kept from launching: `holdfast roll resume` ends that");
    expect(pause.code).toBe(6);
    expect(pause.out).toContain("nobody is rolling orders");
    expect(pause.out).toContain("next: `holdfast roll resume`");
    expect(JSON.parse(abort.out).error.code).toBe("NOTHING_TO_RESUME");
    expect((await cli(aws, store, "status", "--json")).out).toContain('"owner":null');
    expect(await store.list("control")).toEqual(new Map());
    expect((await cli(aws, store, "resume")).code).toBe(0);
  });

  test("R19: resume goes on with every option the roll was begun with, but for those it is given", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release();
    const begun = ["--confirm-after-first", "--bake", "90s", "--alarms", "errors", "--check-timeout", "7s"];
    await cli(aws, store, "run", "--yes", "--strategy", "scale-zero", "--on-failure", "rollback", ...begun);

    const { code } = await cli(aws, store, "resume", "--confirm", "--bake", "2m");
    const { roll } = JSON.parse((await cli(aws, store, "status", "--json")).out);

    expect(code).toBe(0);
    expect(roll.settings).toEqual(
      parseSettings({
        confirmAfterFirst: true,
        bakeMs: 120_000,
        alarms: ["errors"],
        checks: { timeoutMs: 7_000 },
        strategy: "scale-zero",
        onFailure: "rollback",
      }),
    );
    expect(aws.mutations.map(({ method }) => method)).not.toContain("suspendLaunch");
  });

  test("R18: resuming an irreversible roll does not make it reversible", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release();
    await cli(aws, store, "run", "--yes", "--irreversible", "--confirm-after-first");
    await cli(aws, store, "resume", "--confirm");

    const { code, out } = await cli(aws, store, "rollback", "--yes");

    expect(code).toBe(6);
    expect(out).toContain("IRREVERSIBLE");
  });

  test("R17: recover replaces the one node that is named, and no other", async () => {
    const aws = await SimulatedAws.running();
    const monitor = new Monitor(aws);

    const planned = await cli(aws, new MemoryStore(), "recover", "01");
    const { code } = await cli(aws, new MemoryStore(), "recover", "01", "--yes");

    expect(planned.code).toBe(2);
    expect(code).toBe(0);
    expect(monitor.terminatedNodes).toEqual(["01"]);
  });

  test("R17: recovering a node that is not there names those that are", async () => {
    const aws = await SimulatedAws.running();

    const { code, out } = await cli(aws, new MemoryStore(), "recover", "9", "--yes");

    expect(code).toBe(6);
    expect(out).toContain("it has 00, 01, 02");
  });

  test("R9: a gate that stays closed ends with 4, and the status says why until the roll goes on", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release({}, ["00"]);
    aws.guests.degrade("02", 3_600_000);

    expect((await cli(aws, store, "run", "--yes", "--gate-timeout", "2m")).code).toBe(4);
    expect((await cli(aws, store, "status", "--json")).out).toContain("node 02: does not answer");

    await aws.pass(3_600_000);
    expect((await cli(aws, store, "resume")).code).toBe(0);
    expect((await cli(aws, store, "status", "--json")).out).not.toContain("does not answer");
  });

  test("R9: a node that is well is told as done though the gate closes after it, and the status says at whose fault", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release();
    const { onChange } = aws.guests;
    aws.guests.onChange = (nodeId, serving) => {
      onChange(nodeId, serving);
      if (nodeId === "00" && serving) aws.guests.degrade("02", 48 * 3_600_000);
    };

    const { code, lines } = await cli(aws, store, "run", "--yes", "--health-timeout", "5m");
    const status = await cli(aws, store, "status", "--json");

    expect(code).toBe(4);
    const events = lines.flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : []));
    expect(events.filter(({ node, phase }) => node === "00" && phase === "failed")).toEqual([]);
    expect(events.at(-1)).toMatchObject({ outcome: { replaced: ["00"], error: { code: "GATE_CLOSED" } } });
    const { roll, nodes } = JSON.parse(status.out);
    expect(roll).toMatchObject({
      state: "failed",
      failure: { code: "GATE_CLOSED", node: "00", reason: "node 02: does not answer" },
    });
    expect(nodes).toEqual([expect.objectContaining({ node: "00", state: "done" })]);
    expect(nodes[0]).not.toHaveProperty("failure");
  });

  test("R8: a cluster somebody rolls ends with 5", async () => {
    const aws = await SimulatedAws.running();
    const store = new MemoryStore();
    aws.release();
    const renewedMs = aws.clock.now();
    await store.create("lock/1", JSON.stringify({ owner: "ana@laptop", renewedMs, released: false }));

    const { code, out } = await cli(aws, store, "run", "--yes");

    expect(code).toBe(5);
    expect(out).toContain("ana@laptop");
    expect((await cli(aws, store, "pause")).out).toContain("asked ana@laptop to pause");
  });

  test.each<[string, object, string]>([
    ["account", { accountId: "999999999999" }, "WRONG_ACCOUNT"],
    ["region", { region: "eu-central-1" }, "WRONG_REGION"],
    ["cluster", { tag: { key: "holdfast:cluster", value: "billing" } }, "WRONG_CLUSTER"],
  ])(
    "R22: another %s than the manifest's ends every command that changes with 6, before it does",
    async (_what, wrong, code) => {
      const aws = await SimulatedAws.running();
      aws.release();

      for (const command of [["run", "--yes"], ["resume"], ["rollback", "--yes"], ["recover", "01", "--yes"]]) {
        const store = new MemoryStore();
        const ended = await cli(aws, store, ...command, { manifest: { ...aws.deployment(), ...wrong } });

        expect(ended).toMatchObject({ code: 6, out: expect.stringContaining(code) });
        expect((await store.list("")).size).toBe(0);
      }
      expect(aws.mutations).toEqual([]);
    },
  );

  test("without a manifest a command says where one comes from", async () => {
    const aws = await SimulatedAws.running();

    const { code, out } = await cli(aws, new MemoryStore(), "plan", { manifest: undefined });

    expect(code).toBe(6);
    expect(out).toContain("HOLDFAST_CLUSTER");
  });

  test("a manifest that is none is told field by field, with where the right one comes from", async () => {
    const aws = await SimulatedAws.running();

    const { code, out } = await cli(aws, new MemoryStore(), "plan", { manifest: { ...aws.manifest, region: 1 } });

    expect(code).toBe(6);
    expect(out).toContain("region should be a string");
    expect(out).toContain("terraform output -raw roll_manifest");
  });

  test("every command shows how it is used", () => {
    const command = rollCommand({} as Surroundings, () => {});

    for (const each of command.commands.filter(({ commands }) => commands.length === 0)) {
      const shown: string[] = [];
      each.configureOutput({ writeOut: (text) => void shown.push(text) }).outputHelp();
      expect(shown.join("")).toMatch(new RegExp(`Examples:\\n {2}\\$ holdfast roll ${each.name()}`));
    }
  });

  test("R22: policy prints a document for this cluster", async () => {
    const aws = await SimulatedAws.running();

    const { code, out } = await cli(aws, new MemoryStore(), "policy");

    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ Version: "2012-10-17" });
  });
});
