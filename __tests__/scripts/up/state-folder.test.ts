import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { StateFolder } from "../../../scripts/up/state-folder";
import { useScratch } from "../../support/scratch";
import { unreadable } from "../../support/unreadable";

const scratch = useScratch();
afterEach(() => jest.restoreAllMocks());

test("a fleet of which it cannot be told whether it runs is not taken for one that was killed", async () => {
  await StateFolder.open(scratch.path);
  const file = join(scratch.path, "processes.json");
  const before = readFileSync(file, "utf8");

  unreadable(`/proc/${process.pid}/stat`, "EMFILE");
  await expect(StateFolder.open(scratch.path)).rejects.toThrow(`whether process ${process.pid} lives cannot be told`);
  jest.restoreAllMocks();
  unreadable(file, "EACCES");
  await expect(StateFolder.open(scratch.path)).rejects.toThrow(`EACCES: ${file}`);
  jest.restoreAllMocks();

  expect(readFileSync(file, "utf8")).toBe(before);
  await expect(StateFolder.open(scratch.path)).rejects.toThrow(`process ${process.pid} runs a local fleet`);
});

test("a note of processes that a kill cut off is as good as none", async () => {
  const file = join(scratch.path, "processes.json");
  writeFileSync(file, '{"fleet":{"pid');

  const state = await StateFolder.open(scratch.path);

  expect(state.wasKilled).toBe(false);
  state.release();
  expect(existsSync(file)).toBe(false);
});

test("ports are kept from one fleet to the next, but for one that another program has taken since", async () => {
  const first = await (await StateFolder.open(scratch.path)).ports();
  rmSync(join(scratch.path, "processes.json"));
  const taker = createServer().listen(first.postgres, "127.0.0.1");
  await once(taker, "listening");

  const state = await StateFolder.open(scratch.path);
  const second = await state.ports();

  expect(second).toEqual({ postgres: expect.any(Number), controlPlane: first.controlPlane });
  expect(second.postgres).not.toBe((taker.address() as AddressInfo).port);
  taker.close();
  await once(taker, "close");
  expect(await state.ports()).toEqual(second);
});

test("a place where no folder can be is told with what to do", async () => {
  const file = join(scratch.path, "file");
  writeFileSync(file, "");

  await expect(StateFolder.open(file)).rejects.toThrow(
    /^it cannot be a folder there: EEXIST.*; choose another place with --state$/,
  );
});
