import { accountForJobs } from "../../../scripts/chaos/check/accounts";
import { compareRows } from "../../../scripts/chaos/check/equality";

describe("rows", () => {
  const rows = [
    { id: 1, row: "(1,a)" },
    { id: 2, row: "(2,b)" },
    { id: 3, row: "(3,c)" },
  ];

  test("are equal in any order", () => {
    expect(compareRows("t", rows, [...rows].reverse())).toMatchObject({ sourceRows: 3, sinkRows: 3, differences: [] });
  });

  test.each([
    ["missing", rows.slice(1), "t 1 is not in the sink"],
    ["too many", [...rows, { id: 4, row: "(4,d)" }], "t 4 is in the sink alone"],
    ["changed", rows.map(({ id }) => ({ id, row: `(${id},b)` })).slice(0, 3), "t 1: source (1,a), sink (1,b)"],
    ["twice", [...rows, { id: 3, row: "(3,c)" }], "t has keys that are in the sink more than once"],
  ])("that are %s are named", (_, sink, difference) => {
    expect(compareRows("t", rows, sink).differences).toContain(difference);
  });

  test("are named up to five, and the rest counted", () => {
    const many = Array.from({ length: 12 }, (_, id) => ({ id, row: `(${id})` }));
    const { differences } = compareRows("t", many, []);
    expect(differences).toHaveLength(6);
    expect(differences.at(-1)).toBe("t: and 7 more");
  });
});

describe("jobs", () => {
  const job = { id: "a", name: "job-01", state: "running", fence: 3, workerId: "worker-1", lastError: null };
  const daemon = { worker: "worker-1", jobId: "a", fence: 3 };
  const fences = new Map([["a", 3n]]);

  test("that run once, where they should, are accounted for", () => {
    expect(accountForJobs(["a"], [job], [daemon], fences)).toEqual([]);
  });

  test.each([
    ["lost", [], [daemon], fences, "job a is not known any more"],
    ["failed", [{ ...job, state: "failed", lastError: "no\n" }], [], fences, "job-01 is failed: no"],
    ["without a daemon", [job], [], fences, "job-01 should have one daemon and has 0: nowhere"],
    [
      "run twice",
      [job],
      [daemon, { ...daemon, worker: "worker-2" }],
      fences,
      "job-01 should have one daemon and has 2: worker-1 (fence 3), worker-2 (fence 3)",
    ],
    [
      "run elsewhere",
      [job],
      [{ ...daemon, worker: "worker-2" }],
      fences,
      "job-01 runs on worker-2 under fence 3, and was given to worker-1 under 3",
    ],
    [
      "run under an old fence",
      [job],
      [{ ...daemon, fence: 2 }],
      fences,
      "job-01 runs on worker-1 under fence 2, and was given to worker-1 under 3",
    ],
    [
      "written by another fence",
      [job],
      [daemon],
      new Map([["a", 4n]]),
      "job-01 has fence 3, and the sink was claimed with 4",
    ],
  ])("that are %s are named", (_, jobs, daemons, sinkFences, fault) => {
    expect(accountForJobs(["a"], jobs, daemons, sinkFences)).toEqual([fault]);
  });

  test("nobody created are named", () => {
    const strangers = accountForJobs([], [job], [daemon], fences);
    expect(strangers).toEqual([
      "job job-01 was never created",
      "worker-1 runs a daemon of job a, which was never created",
    ]);
  });
});
