import fs, { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LogOutput } from "../../../control-plane/api/log-output";
import { eventually } from "../../support/eventually";
import { useScratch } from "../../support/scratch";

const scratch = useScratch();
afterEach(() => {
  jest.restoreAllMocks();
  jest.useRealTimers();
});

function output() {
  const path = join(scratch.path, "log");
  const log = new LogOutput(openSync(path, "a"));
  const written = async (length: number) =>
    await eventually(async () => {
      const text = readFileSync(path, "utf8");
      return text.length >= length ? text : undefined;
    });
  return { log, written };
}

/** The next writes fail, as on a full disk, the first after so many bytes. */
function fillDisk(bytes: number, times: number): jest.SpyInstance {
  const { write } = fs;
  let left = times;
  let room = bytes;
  return jest.spyOn(fs, "write").mockImplementation(((
    file: number,
    part: Buffer,
    done: (error: unknown, written: number) => void,
  ) => {
    if (room > 0) {
      const fits = part.subarray(0, room);
      room = 0;
      return write(file, fits, done);
    }
    if (left-- > 0) return setImmediate(done, Object.assign(new Error("no space left"), { code: "ENOSPC" }), 0);
    return write(file, part, done);
  }) as never);
}

it("writes lines in their order", async () => {
  const { log, written } = output();
  const lines = Array.from({ length: 1_000 }, (_, index) => `line ${index}\n`);

  for (const line of lines) log.write(line);

  const text = lines.join("");
  expect(await written(text.length)).toBe(text);
});

it("goes on where it was once there is room again, and loses what there was no room to keep", async () => {
  const { log, written } = output();
  const full = fillDisk(3, 2);

  log.write("one\n");
  await eventually(async () => (full.mock.calls.length >= 3 ? true : undefined));
  log.write("two\n");
  log.write("x".repeat(1_048_576));
  log.write("three\n");

  const text = "one\ntwo\nthree\n";
  expect(await written(text.length)).toBe(text);
});
