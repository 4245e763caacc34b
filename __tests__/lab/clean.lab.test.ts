import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { engineHere } from "../../scripts/rehearse/machines/engine-here";
import { openLab, removeAbandonedLabs } from "../../scripts/rehearse/machines/lab";
import { LAB_LABEL } from "../../scripts/rehearse/machines/labels";
import { useLab } from "../support/instance/lab";
import { sh } from "../support/loop-volume";

const bench = useLab();

/** Everything on this machine that bears the lab's number. */
async function remainsOf(lab: string): Promise<Record<string, string>> {
  return {
    containers: await engineHere().run("ps", "--all", "--format={{.Names}}", `--filter=label=${LAB_LABEL}=${lab}`),
    devices: sh(`losetup --list --noheadings --output BACK-FILE | grep holdfast-lab-${lab}/ || true`),
    links: sh(`ip -oneline link show | grep -oE '(holdfast|hf)${lab}[^:@]*' || true`),
    namespaces: sh(`ip netns list | grep holdfast${lab}- || true`),
    routes: sh(`ip route show | grep holdfast${lab} || true`),
    directory: existsSync(`/var/tmp/holdfast-lab-${lab}`) ? "there" : "",
  };
}

const NOTHING = { containers: "", devices: "", links: "", namespaces: "", routes: "", directory: "" };

const isRunning = (pid: number) => /^[^Z]/.test(sh(`ps -o stat= -p ${pid} || true`));

/** A cloud with a running instance and an attached volume, of another process. */
async function openElsewhere() {
  const program = join(__dirname, "run-lab.ts");
  const child = spawn(process.execPath, ["--import", "tsx", program, bench.image()], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line]: string[] = await once(createInterface({ input: child.stdout }), "line");
  const [lab = "", pid = ""] = line?.split(" ") ?? [];
  expect(lab).toMatch(/^\d+$/);
  const before = await remainsOf(lab);
  for (const kind of Object.keys(NOTHING)) expect([kind, before[kind]]).not.toEqual([kind, ""]);
  expect(isRunning(Number(pid))).toBe(true);
  return { child, lab, emulator: Number(pid) };
}

test("what a killed cloud leaves is removed; a lab whose process lives is not touched", async () => {
  // GIVEN
  const { child, lab, emulator } = await openElsewhere();
  expect(await removeAbandonedLabs()).not.toContain(lab);
  child.kill("SIGKILL");
  await once(child, "exit");
  const own = await remainsOf(bench.lab().id);

  // WHEN
  const removed = await removeAbandonedLabs();

  // THEN
  expect(removed).toContain(lab);
  expect(removed).not.toContain(bench.lab().id);
  expect(await remainsOf(lab)).toEqual(NOTHING);
  expect(isRunning(emulator)).toBe(false);
  expect(await remainsOf(bench.lab().id)).toEqual(own);
});

test.each([
  ["told to end", ["SIGTERM"]],
  ["interrupted by a Ctrl-C that npm passes on", ["SIGINT", "SIGINT"]],
  ["left by its terminal", ["SIGHUP"]],
] as const)("a cloud whose process is %s removes itself", async (_how, signals) => {
  const { child, lab, emulator } = await openElsewhere();
  for (const signal of signals) {
    child.kill(signal);
    await sleep(5);
  }
  expect(await once(child, "exit")).toEqual([null, signals[0]]);
  expect(await remainsOf(lab)).toEqual(NOTHING);
  expect(isRunning(emulator)).toBe(false);
});

test("each lab has a network of its own, and closing it leaves nothing", async () => {
  const [one, other] = await Promise.all([openLab(), openLab()]);
  expect(new Set([one.id, other.id, bench.lab().id]).size).toBe(3);
  await Promise.all([one.close(), other.close()]);
  expect(await remainsOf(one.id)).toEqual(NOTHING);
  expect(await remainsOf(other.id)).toEqual(NOTHING);
});
