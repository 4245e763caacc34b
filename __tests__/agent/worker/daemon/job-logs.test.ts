import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../../../../agent/host/log";
import type { DaemonHost, DaemonLaunch } from "../../../../agent/worker/daemon/daemon-host";
import { JobLogs } from "../../../../agent/worker/daemon/job-logs";
import { eventually } from "../../daemon/eventually";

const JOB = "11111111-1111-4111-8111-111111111111";
const OTHER = "22222222-2222-4222-8222-222222222222";
const TIME_US = 1_700_000_000_123_456;

let directory: string;
let said: string[];
let logs: JobLogs;
let end: () => Promise<void>;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "holdfast-job-logs-"));
  said = [];
  logs = new JobLogs(
    {
      directory: join(directory, "out"),
      cursorFile: join(directory, "cursor"),
      journalctl: join(directory, "journalctl"),
    },
    createLog((line) => said.push(line)),
  );
});
afterEach(async () => {
  await end();
  rmSync(directory, { recursive: true });
});

const entry = (jobId: string, MESSAGE: unknown, { cursor = "c1", fence = 1 } = {}) =>
  JSON.stringify({
    __CURSOR: cursor,
    __REALTIME_TIMESTAMP: `${TIME_US}`,
    _SYSTEMD_UNIT: `holdfast-job-${jobId}-${fence}.service`,
    MESSAGE,
  });

/** A journalctl that notes what it was asked for. */
function journalctl(...commands: string[]): void {
  const script = ["#!/bin/sh", `echo "$@" >>${directory}/asked`, ...commands, ""].join("\n");
  writeFileSync(join(directory, "journalctl"), script, { mode: 0o755 });
}
/** One with these entries, to which no more come. */
function journal(...entries: string[]): void {
  writeFileSync(join(directory, "entries"), entries.map((line) => `${line}\n`).join(""));
  journalctl(`cat ${directory}/entries`, "exec sleep 600");
}
const asked = () => readFileSync(join(directory, "asked"), "utf8").trim().split("\n");
const copied = (jobId: string) =>
  readFileSync(join(directory, "out", `dbmazz-${jobId}.log`), "utf8").replaceAll("2023-11-14T22:13:20.123Z ", "");
const hostWith = (...survivors: object[]) =>
  logs.of({
    survivors: async () => survivors,
    start: () => Promise.reject(new Error("no daemon here")),
  } as unknown as DaemonHost);
const follow = (...survivors: object[]) => {
  let over = () => {};
  const agent = new Promise<void>((resolve) => {
    over = resolve;
  });
  const following = logs.followUntil(agent);
  void hostWith(...survivors).survivors();
  end = () => {
    over();
    return following;
  };
};
const start = (password: string, { fence = 1 } = {}) =>
  hostWith()
    .start({
      record: { jobId: JOB, fence },
      variables: { SINK_PASSWORD: password },
      files: {},
    } as unknown as DaemonLaunch)
    .catch(() => {});

test("what daemons say is in a file per job that others cannot read, without their secrets and the credentials of any URL", async () => {
  await start("p@ss/word");
  await start("a newer one", { fence: 2 });
  journal(
    entry(JOB, "login p@ss/word, p%40ss%2Fword"),
    entry(JOB, "login a newer one", { fence: 2 }),
    entry(OTHER, "to postgres://cdc:unknown@more@db/shop"),
    entry(JOB, [...Buffer.from("\u001b[1mgrün")]),
    entry(JOB, null),
    JSON.stringify({ __CURSOR: "c1", __REALTIME_TIMESTAMP: "1", _SYSTEMD_UNIT: "init.scope", MESSAGE: "not a job's" }),
  );

  follow();

  await eventually("all is copied", async () => {
    expect(copied(JOB)).toBe("login [redacted], [redacted]\nlogin [redacted]\n\u001b[1mgrün\n\n");
    expect(copied(OTHER)).toBe("to postgres://[redacted]@db/shop\n");
  });
  expect(readdirSync(join(directory, "out"))).toHaveLength(2);
  expect(statSync(join(directory, "out", `dbmazz-${JOB}.log`)).mode & 0o777).toBe(0o600);
});

test("secrets of daemons that an earlier life has started are taken out, too", async () => {
  journal(entry(JOB, "login p@ss/word"));

  follow({ record: { jobId: JOB, fence: 1 }, secrets: ["p@ss/word"], ended: new Promise(() => {}) });

  await eventually("it is copied", async () => expect(copied(JOB)).toBe("login [redacted]\n"));
});

test("the next life goes on where the journal was read to, the first with the boot", async () => {
  journal(entry(JOB, "one"), entry(JOB, "two", { cursor: "s=7f;i=2" }));
  follow();
  await eventually("it is copied", async () => expect(copied(JOB)).toBe("one\ntwo\n"));
  await end();

  journal(entry(JOB, "three", { cursor: "s=7f;i=3" }));
  follow();

  await eventually("the rest is copied", async () => expect(copied(JOB)).toBe("one\ntwo\nthree\n"));
  expect(asked()).toEqual([
    expect.stringContaining("--boot _SYSTEMD_SLICE=holdfast-jobs.slice"),
    expect.stringContaining("--after-cursor=s=7f;i=2 "),
  ]);
});

test("what daemons say last is copied when the agent asks for it, before it ends itself", async () => {
  journalctl("sleep 0.3", `cat ${directory}/entries`, "exec sleep 600");
  writeFileSync(join(directory, "entries"), `${entry(JOB, "last words")}\n`);
  follow();
  await eventually("the journal is read", async () => expect(asked()).toHaveLength(1));

  await logs.finish();

  expect(copied(JOB)).toBe("last words\n");
  expect(readFileSync(join(directory, "cursor"), "utf8")).toBe("c1");
});

test("a line that comes in two parts is one line", async () => {
  const line = `${entry(JOB, "a long way")}\n`;
  writeFileSync(join(directory, "one"), line.slice(0, 100));
  writeFileSync(join(directory, "two"), line.slice(100));
  journalctl(`cat ${directory}/one`, "sleep 0.5", `cat ${directory}/two`, "exec sleep 600");

  follow();

  await eventually("it is copied", async () => expect(copied(JOB)).toBe("a long way\n"));
});

test("a journal that cannot be followed is told of, with its reason", async () => {
  journalctl("echo 'Failed to seek to cursor' >&2", "exit 1");

  follow();

  await eventually("it is told", async () =>
    expect(JSON.parse(said[0] ?? "{}")).toMatchObject({
      level: "warn",
      reason: "journalctl ended with 1: Failed to seek to cursor",
    }),
  );
});
