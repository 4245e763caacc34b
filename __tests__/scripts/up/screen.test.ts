import { PassThrough } from "node:stream";
import { type FleetView, screen } from "../../../scripts/up/screen";

const VIEW: FleetView = {
  workers: [
    { workerId: "local-1", state: "healthy", jobs: 1, slots: 4 },
    { workerId: "local-2", state: "draining", jobs: 0, slots: 4 },
  ],
  job: { name: "orders", state: "running", phase: "streaming", worker: "local-1" },
  progress: { rowsIn: 120, rowsOut: 100, lagMs: 250 },
};

function written(isTTY: boolean, draw: (stream: ReturnType<typeof screen>) => void, now = () => 0): string {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 100 });
  draw(screen(stream as unknown as NodeJS.WriteStream, now));
  return String(stream.read());
}

it("draws workers and job as tables on a terminal, over the ones before", () => {
  const text = written(true, (tables) => {
    tables.show(VIEW);
    tables.say("local-2 ended");
    tables.show(VIEW);
  });

  expect(text).toMatch(/local-1 +healthy +1 +4\n/);
  expect(text).toMatch(/orders +running +streaming +local-1 +120 +100 +20 +0\.3 s\n/);
  // Seven lines, cleared once for the line that stays and once for the second view.
  expect(text.split("\u001b[7A\u001b[J")).toHaveLength(3);
});

it("leaves the last tables on a terminal above what is said once they tell of the past", () => {
  const text = written(true, (tables) => {
    tables.show(VIEW);
    tables.settle();
    tables.say("stopped");
  });

  expect(text).toMatch(/0\.3 s\nstopped\n$/);
});

it("writes a line elsewhere when the job's state changes, and now and then", () => {
  let nowMs = 0;
  const text = written(
    false,
    (lines) => {
      for (nowMs of [0, 1_000, 4_999, 5_000]) lines.show(VIEW);
      nowMs = 5_001;
      lines.show({ ...VIEW, job: { ...VIEW.job, worker: "local-2" } });
    },
    () => nowMs,
  );

  expect(text.split("\n")).toEqual([
    "job orders: running, streaming on local-1; 120 rows in, 100 out, lag 0.3 s; 1 of 2 workers healthy",
    "job orders: running, streaming on local-1; 120 rows in, 100 out, lag 0.3 s; 1 of 2 workers healthy",
    "job orders: running, streaming on local-2; 120 rows in, 100 out, lag 0.3 s; 1 of 2 workers healthy",
    "",
  ]);
});
