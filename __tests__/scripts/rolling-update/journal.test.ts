import { type RollRecord, readJournal, writeRoll } from "../../../scripts/rolling-update/journal";
import { parseSettings } from "../../../scripts/rolling-update/settings";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";

/** https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html */
const LONGEST_PARAMETER = 4_096;
/** As many as docs/rolling-update.md promises room for, with ids as long as those of AWS. */
const NODES = Array.from({ length: 75 }, (_, index) => `kafka-${String(index).padStart(2, "0")}`);
const FORMER = Object.fromEntries(
  NODES.map((node, index) => [node, { id: `lt-${String(index).padStart(17, "0")}`, version: 17 }]),
);

/** The record of a rollback of all nodes, begun with more options than most. */
const record = (former: RollRecord["former"]): RollRecord => ({
  id: new Date(0).toISOString(),
  startedMs: Date.UTC(2030, 0),
  direction: "rollback",
  state: "running",
  settings: parseSettings({
    alarms: ["orders-errors", "orders-latency"],
    checks: { http: "http://{ip}:2379/health" },
    drain: { onNode: "systemctl stop kafka", undoOnNode: "systemctl start kafka" },
  }),
  forced: [],
  only: NODES,
  ...(former && { former }),
  confirmedCanary: false,
});

test(`R18: what ${NODES.length} nodes are taken back to fits into the parameter of their rollback`, async () => {
  const store = new MemoryStore();

  await writeRoll(store, record(FORMER));

  const [text = ""] = (await store.list("journal/roll")).values();
  expect(text.length).toBeLessThanOrEqual(LONGEST_PARAMETER);
  const { roll } = await readJournal(store);
  expect(roll).toMatchObject({ direction: "rollback", former: FORMER });
});

test("R18: a rollback that an earlier version wrote down is gone on with", async () => {
  const store = new MemoryStore();
  await store.write("journal/roll", JSON.stringify(record(FORMER)));

  expect((await readJournal(store)).roll).toEqual(record(FORMER));
});
