import { replicationSlotOf } from "../../../control-plane/protocol";

const JOB = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9";

const job = (engine = "postgres", source = {}, sink = {}, options = {}) => ({
  source: { engine, options: source },
  sink: { options: sink },
  options,
});

test.each(["postgres", "postgresql"])("of a source of the engine %s the slot has the job's id", (engine) => {
  expect(replicationSlotOf(JOB, job(engine))).toBe("holdfast_0b1c2d3e4f5046178293a4b5c6d7e8f9");
});

test("a source of another engine has no slot", () => {
  expect(replicationSlotOf(JOB, job("mysql", { SOURCE_SLOT_NAME: "mine" }))).toBeUndefined();
});

test.each([
  ["the source", job("postgres", { SOURCE_SLOT_NAME: "of_source" }), "of_source"],
  ["the sink over it", job("postgres", { SOURCE_SLOT_NAME: "a" }, { SOURCE_SLOT_NAME: "of_sink" }), "of_sink"],
  ["the job over both", job("postgres", {}, { SOURCE_SLOT_NAME: "b" }, { SOURCE_SLOT_NAME: "of_job" }), "of_job"],
])("%s may name another", (_, settings, slot) => {
  expect(replicationSlotOf(JOB, settings)).toBe(slot);
});

test("a name that PostgreSQL would not take is never a slot's: no daemon was started with it", () => {
  expect(replicationSlotOf(JOB, job("postgres", {}, {}, { SOURCE_SLOT_NAME: "x'); drop table t" }))).toBeUndefined();
});
