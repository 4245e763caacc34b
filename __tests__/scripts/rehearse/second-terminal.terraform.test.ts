import { readFileSync } from "node:fs";
import { join } from "node:path";
import { rehearseCommand } from "../../../scripts/rehearse/rehearse-command";
import { runCommand } from "../../../scripts/rehearse/run-command";
import { eventually } from "../../support/eventually";
import { useScratch } from "../../support/scratch";
import { page } from "./terminal";

jest.setTimeout(600_000);
const scratch = useScratch();

/** Others rehearse on this machine too. */
const NAME = `orders-${process.pid}`;

/** `holdfast rehearse …` in another terminal. */
async function second(...words: readonly string[]) {
  const [stdout, stderr] = [page(), page()];
  let code: number | undefined;
  const exit = (given: number) => {
    code = given;
  };
  const command = rehearseCommand({ stdout: stdout.stream, stderr: stderr.stream, exit });
  await command.parseAsync([...words, "--of", NAME], { from: "user" });
  return { code, out: stdout.text(), err: stderr.text() };
}

/** Its answer, once it is not refused. */
const granted = (...words: readonly string[]) =>
  eventually(async () => {
    const { code, out } = await second(...words);
    return code === 0 ? out : undefined;
  });

/** What a node's console shows, once it does: its group has an instance before that has a machine. */
const logged = (node: string, what: RegExp) => async () => what.exec(await granted("logs", node)) ?? undefined;

test("a second terminal sees why a boot hangs, sets it well, and is told what cannot be", async () => {
  // GIVEN a rehearsal that has just begun
  const text = readFileSync(join(__dirname, "../../fixtures/small-cluster.yaml"), "utf8");
  const file = scratch.write("cluster.yaml", text.replace("name: orders", `name: ${NAME}`));
  const [stdout, stderr] = [page(), page()];
  const output = join(scratch.path, "out");
  const flags = { machines: "none", keep: true, event: ["wait for 1s"], output } as const;
  const ended = runCommand(file, flags, { stdout: stdout.stream, stderr: stderr.stream, exit: () => {} });

  // WHEN no volume can be attached
  await granted("faults");
  const set = await granted("faults", '{"refuse":[{"action":"AttachVolume"}]}');
  expect(JSON.parse(set).refuse).toMatchObject([{ action: "AttachVolume", code: "RequestLimitExceeded" }]);

  // THEN its nodes hang, which can be seen and ended
  const [, hanging] = await eventually(logged("00", /^=== (i-\w+)\n.*has booted/));
  const [, former] = await eventually(logged("01", /^=== (i-\w+)\n.*has booted/));
  expect(hanging).not.toBe(former);
  expect(await second("shell", "01")).toMatchObject({
    code: 2,
    err: "01 has no shell: nothing runs on it\n  next: rehearse with --machines container\n",
  });
  expect(JSON.parse(await granted("faults", "{}")).refuse).toEqual([]);
  expect(JSON.parse(await granted("abandon", "01"))).toEqual({ abandoned: former });
  await granted("abandon", "00");

  // AND what takes their place boots
  await eventually(async () => /"kind":"ended".*wait for 1s: well/.test(stdout.text()) || undefined);
  expect((await granted("logs", "01")).match(/=== i-\w+/g)).toHaveLength(2);
  expect(await second("abandon", "01")).toMatchObject({ code: 2, err: expect.stringContaining("No active Lifecycle") });
  expect(await second("logs", "07")).toMatchObject({
    code: 2,
    err: expect.stringContaining("there is no node 07; there are 00, 01"),
  });
  expect(await second("faults", '{"staleMs":-1}')).toMatchObject({
    code: 2,
    err: expect.stringContaining("staleMs: "),
  });

  // WHEN it is ended
  process.emit("SIGINT");

  // THEN all went well, and nobody finds it any more
  expect([await ended, stderr.text()]).toEqual([0, expect.stringMatching(/^All went well\./)]);
  expect(stdout.text()).toContain("its launch was abandoned");
  expect(await second("faults")).toMatchObject({ code: 2, err: expect.stringContaining("no rehearsal") });
});
