import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { followJournal, lastLinesOf } from "../../../../agent/worker/daemon/journal";
import { useScratch } from "../../../support/scratch";

const scratch = useScratch();
/** Reads that may begin before the time is over: however slow they are, there are as many. */
function timeFor(reads: number): void {
  const now = jest.spyOn(performance, "now");
  for (let read = 0; read < reads; read++) now.mockReturnValueOnce(0);
  now.mockReturnValue(Number.POSITIVE_INFINITY);
}
afterEach(() => jest.restoreAllMocks());

const said = (MESSAGE: unknown) => JSON.stringify({ MESSAGE });
const started = JSON.stringify({ MESSAGE: "Started unit.", MESSAGE_ID: "39f53479d3a045ac8e11786248231fbf" });
const exited = JSON.stringify({
  MESSAGE: "Main process exited, code=exited, status=3",
  MESSAGE_ID: "98e322203f7a4ed290d09fe03c09fe15",
});

/**
 * A journalctl that finds what is given, one part after the other and then the last again; undefined is a failure. Of the lines it
 * gives the last that are asked for; of systemd's words on an end the last it has found by then.
 */
function journalctl(...answers: (readonly string[] | undefined)[]): string {
  for (const [at, lines] of answers.entries()) if (lines) scratch.write(`answer-${at + 1}`, `${lines.join("\n")}\n`);
  const script = `#!/bin/sh
cd ${scratch.path}
for word; do
  case $word in
    --lines=*) lines=\${word#*=} ;;
    MESSAGE_ID=*) grep --no-messages "\${word#*=}" answer-$(cat asked 2>/dev/null || echo 0) | tail -n $lines; exit ;;
  esac
done
number=$(($(cat asked 2>/dev/null || echo 0) + 1))
[ $number -gt ${answers.length} ] && number=${answers.length}
echo $number >asked
tail -n $lines answer-$number
`;
  const path = scratch.write("journalctl", script);
  chmodSync(path, 0o755);
  return path;
}

test("R27: the last lines are those that come after the end of the process, and of its unit, too", async () => {
  const path = journalctl([started, said("one")], [started, said("one"), exited], undefined, [
    started,
    said("one"),
    exited,
    said("fatal:\ntwo lines"),
    said([27, 91, 109]),
  ]);

  timeFor(100);
  expect(await lastLinesOf("unit", 5, path)).toEqual([
    "one",
    "Main process exited, code=exited, status=3",
    "fatal:",
    "two lines",
    "\u001b[m",
  ]);
});

test("R27: systemd's word on the end is among the last lines even if it came to the journal before all of them", async () => {
  const words = Array.from({ length: 9 }, (_, at) => said(`word ${at + 1}`));
  timeFor(3);
  expect(await lastLinesOf("unit", 3, journalctl([started], [started, exited, ...words]))).toEqual([
    "word 8",
    "word 9",
    "Main process exited, code=exited, status=3",
  ]);
});

test("R27: of a daemon that ended well systemd says nothing: what is there is given", async () => {
  timeFor(2);
  expect(await lastLinesOf("unit", 50, journalctl([started], [started, said("done")]))).toEqual([
    "Started unit.",
    "done",
  ]);
  expect(readFileSync(join(scratch.path, "asked"), "utf8").trim()).toBe("2");
});

test("R27: there are no last lines where the journal cannot be read", async () => {
  timeFor(2);
  expect(await lastLinesOf("unit", 50, join(scratch.path, "none"))).toEqual([]);
});

test("R23: of a flood the agent reads no more than 64 KiB at a time, ten times a second: the rest waits in the journal", async () => {
  const line = JSON.stringify({ __CURSOR: "c", __REALTIME_TIMESTAMP: "1", MESSAGE: "x".repeat(1_000) });
  const path = scratch.write("journalctl", `#!/bin/sh\nexec yes '${line}'\n`);
  chmodSync(path, 0o755);
  const ended = new AbortController();
  const READS = 6;

  const startedAt = performance.now();
  let [reads, bytes] = [0, 0];
  for await (const entries of followJournal({ slice: "slice", journalctl: path, ended: ended.signal })) {
    bytes += entries.length * (line.length + 1);
    reads += 1;
    if (reads === READS) break;
  }

  expect(reads).toBe(READS);
  expect(bytes).toBeLessThanOrEqual(READS * 64 * 1_024);
  // A timer may be a millisecond early, and never more.
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual((READS - 1) * 99);
});
