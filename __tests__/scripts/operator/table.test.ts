import { facts } from "../../../scripts/operator/table";

test("facts are shown without what is empty at any depth, and figures to the hundredth", () => {
  const text = facts({
    state: "running",
    error: null,
    metrics: { lagMs: 12, eventsPerSecond: 85.51234567891234 },
    options: { sslmode: "" },
    detail: { closed: [], agentVersion: "1.2.3" },
    nothing: { closed: [] },
  });

  expect(text.split("\n")).toEqual([
    "state:   running",
    "metrics: lagMs=12, eventsPerSecond=85.51",
    "options: sslmode=",
    "detail:  agentVersion=1.2.3",
  ]);
});
