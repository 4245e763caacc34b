import { Pool } from "pg";
import { compareTables } from "../../../scripts/chaos/check/equality";
import { checkFencing } from "../../../scripts/chaos/check/fencing";
import { type HistoryEntry, readHistory, recordHistory } from "../../../scripts/chaos/check/history";
import { eventually } from "../../agent/daemon/eventually";
import { usePair } from "../../agent/daemon/pair";

const pair = usePair();
const pools: Pool[] = [];

function pool(side: "SOURCE_URL" | "SINK_URL"): Pool {
  const made = new Pool({ connectionString: pair.environment[side], max: 2 });
  made.on("error", () => undefined);
  pools.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(pools.splice(0).map((each) => each.end()));
});

/** Writes to the source until the sink's history shows what is looked for. */
async function writtenUntil(sink: Pool, what: string, found: (entry: HistoryEntry) => boolean): Promise<void> {
  await eventually(what, async () => {
    await pair.source.query("insert into item select coalesce(max(id), 0) + 1 from item");
    expect((await readHistory(sink)).some(found)).toBe(true);
  });
}

test("what daemons do one after the other is in the sink's history, and breaks nothing", async () => {
  await pair.source.query("create table item (id int primary key)");
  const first = await pair.start({ HOLDFAST_FENCE: "1" });
  const sink = pool("SINK_URL");
  await recordHistory(sink);
  await writtenUntil(sink, "fence 1 wrote", ({ event, fence }) => event === "wrote" && fence === 1n);
  first.process.kill("SIGKILL");
  await first.ended;
  await pair.start({ HOLDFAST_FENCE: "2" });
  await writtenUntil(sink, "fence 2 wrote", ({ event, fence }) => event === "wrote" && fence === 2n);
  expect(checkFencing(await readHistory(sink), [])).toMatchObject({ violations: [], refusedAwakened: 0 });
});

test("two daemons that run one job at a time are found", async () => {
  await pair.source.query("create table item (id int primary key)");
  const older = await pair.start({ HOLDFAST_FENCE: "1" });
  const sink = pool("SINK_URL");
  await recordHistory(sink);
  pair.launch({ HOLDFAST_FENCE: "2" });
  await writtenUntil(sink, "fence 1 was refused", ({ event, fence }) => event === "refused" && fence === 1n);
  expect(await older.ended).toBe(77);
  const history = await readHistory(sink);
  expect(checkFencing(history, []).violations).toEqual([
    `${pair.slotName}: fence 1 was alive after fence 2 had begun: it was refused`,
  ]);
  const frozen = [{ slot: pair.slotName, fence: 1n }];
  expect(checkFencing(history, frozen)).toMatchObject({ violations: [], refusedAwakened: 1 });
});

test("one row that was changed, lost or added in the sink is found", async () => {
  await pair.source.query("create table item (id int primary key, note text, at timestamptz, ratio float8)");
  await pair.start();
  await pair.source.query("insert into item select n, 'n' || n, now(), 1.0 / n from generate_series(1, 50) n");
  await pair.equal("item");
  const [source, sink] = [pool("SOURCE_URL"), pool("SINK_URL")];
  expect(await compareTables(source, sink, "item")).toEqual({
    table: "item",
    sourceRows: 50,
    sinkRows: 50,
    differences: [],
  });
  await sink.query("update item set ratio = ratio + 1e-12 where id = 7");
  await sink.query("delete from item where id = 8");
  await sink.query("insert into item values (51, 'stray')");
  const { differences } = await compareTables(source, sink, "item");
  expect(differences).toEqual([
    expect.stringMatching(/^item 7: source \(7,n7,.*, sink \(7,n7,/),
    "item 8 is not in the sink",
    "item 51 is in the sink alone",
  ]);
});
