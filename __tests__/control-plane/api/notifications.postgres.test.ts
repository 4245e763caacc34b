import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { Notifications } from "../../../control-plane/api/notifications";
import { eventually } from "../../support/eventually";
import { startTestPostgres, type TestPostgres } from "../../support/postgres";

const PATIENCE = { connectMs: 2_000, answerMs: 500, askEveryMs: 50 };

const NOBODY = { heard: () => {}, missed: () => {} };

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);
afterAll(() => postgres.stop(), 60_000);

/** A way to the database on which all connections can vanish without a word: those that come later get through. */
async function wayTo(databaseUrl: string) {
  const wires: [Socket, Socket][] = [];
  const server = createServer((near) => {
    const far = connect(Number(new URL(databaseUrl).port), "127.0.0.1");
    wires.push([near, far]);
    for (const socket of [near, far]) socket.on("error", () => {});
    near.pipe(far).pipe(near);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: Object.assign(new URL(databaseUrl), { port: `${port}` }).href,
    vanish: () => {
      for (const [near, far] of wires) for (const socket of [near, far]) socket.unpipe().resume();
    },
    close: async () => {
      for (const socket of wires.flat()) socket.destroy();
      await once(server.close(), "close");
    },
  };
}

it("control-plane 22: a copy hears of others again after its listener's database has vanished without a word, and says that it may have missed news", async () => {
  const { pool, url } = await postgres.freshDatabase();
  const way = await wayTo(url);
  const heard: string[] = [];
  let missed = 0;
  const hearer = { heard: (sessions: readonly string[]) => void heard.push(...sessions), missed: () => (missed += 1) };
  const listener = new Notifications(pool, way.url, hearer, PATIENCE);
  const teller = new Notifications(pool, url, NOBODY, PATIENCE);
  listener.start();
  const hears = (session: string) =>
    eventually(async () => {
      teller.tell(session);
      return heard.includes(session) ? true : undefined;
    });
  await hears("before");
  expect(missed).toBe(1);

  way.vanish();
  await eventually(async () => (missed > 1 ? true : undefined));
  await hears("after");
  expect(heard).toEqual(expect.arrayContaining(["before", "after"]));

  await Promise.all([listener.stop(), teller.stop()]);
  await way.close();
}, 120_000);

it("control-plane 22: a listener whose database has vanished without a word can be stopped", async () => {
  const { pool, url } = await postgres.freshDatabase();
  const way = await wayTo(url);
  let listens = 0;
  const never = { ...PATIENCE, askEveryMs: 3_600_000 };
  const listener = new Notifications(pool, way.url, { ...NOBODY, missed: () => (listens += 1) }, never);
  listener.start();
  await eventually(async () => (listens > 0 ? true : undefined));

  way.vanish();
  await expect(listener.stop()).resolves.toBeUndefined();
  await way.close();
}, 120_000);

it("control-plane 22: a copy that ends tells what it has not told yet, however much that is, also what has come since it was stopped", async () => {
  const { pool, url } = await postgres.freshDatabase();
  const heard = new Set<string>();
  let listens = false;
  const hear = (sessions: readonly string[]) => {
    for (const session of sessions) heard.add(session);
  };
  const listener = new Notifications(pool, url, { heard: hear, missed: () => (listens = true) }, PATIENCE);
  listener.start();
  await eventually(async () => listens || undefined);
  const teller = new Notifications(pool, url, NOBODY, PATIENCE);
  const news = Array.from({ length: 400 }, (_, number) => `session-${number}`);
  for (const session of news) teller.tell(session);

  await teller.stop();
  teller.tell("late");
  await teller.tellRest();

  // Notifications come in the order in which they were committed.
  await pool.query("select pg_notify('holdfast_wake', 'somebody,last')");
  await eventually(async () => heard.has("last") || undefined);
  expect([...heard].sort()).toEqual([...news, "late", "last"].sort());
  await listener.stop();
}, 120_000);
