import { migrate, migrations } from "../../../control-plane/store/migrate";
import { issueToken, rotateToken } from "../../../control-plane/store/tokens";
import { type TestFleet, useFleets } from "./fleet";

const fleets = useFleets();

const DAY_MS = 86_400_000;

const lifeDays = async ({ pool }: Pick<TestFleet, "pool">, id: string): Promise<number | null> => {
  const { rows } = await pool.query(
    "select extract(epoch from expires_at - created_at)::float / 86400 as days from tokens where id = $1",
    [id],
  );
  return rows[0].days;
};

it.each([
  ["never expires", undefined, null],
  ["lives for 30 days", 30 * DAY_MS, 30],
])(
  "control-plane 25: a token that %s is followed by such a one at each of its rotations",
  async (_, expiresInMs, days) => {
    const fleet = await fleets.freshFleet();
    const { pool, deploymentId } = fleet;
    const old = await issueToken(pool, { kind: "deployment", deploymentId, ...(expiresInMs && { expiresInMs }) });
    const rotate = async () => (await rotateToken(pool, old.id, deploymentId, 3_600_000))?.id ?? "";

    const first = await rotate();
    const second = await rotate();

    expect([await lifeDays(fleet, first), await lifeDays(fleet, second)]).toEqual([days, days]);
    expect(await lifeDays(fleet, old.id)).toBeCloseTo(1 / 24, 2);
  },
);

it("control-plane 25: knows the life of tokens that the version before has issued, before the migration and beside it", async () => {
  const { pool } = await fleets.postgres.freshDatabase({ migrated: false });
  await migrate(pool, { wanted: migrations().filter(({ name }) => name < "0018") });
  const issueAsBefore = async (days: number | null): Promise<string> => {
    const { rows } = await pool.query(
      `insert into tokens (kind, deployment_id, session_id, hash, expires_at)
       values ('operator', null, null, sha256(gen_random_uuid()::text::bytea), now() + make_interval(days => $1)) returning id`,
      [days],
    );
    return rows[0].id;
  };
  const issued = [await issueAsBefore(null), await issueAsBefore(30)];

  await migrate(pool);

  for (const [index, id] of [...issued, await issueAsBefore(null), await issueAsBefore(30)].entries()) {
    for (let rotation = 0; rotation < 2; rotation++) {
      const next = await rotateToken(pool, id, null, 3_600_000);
      expect(await lifeDays({ pool }, next?.id ?? "")).toBe(index % 2 === 0 ? null : 30);
    }
  }
});
