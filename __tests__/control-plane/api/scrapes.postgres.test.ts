import { Pool } from "pg";
import { type Destination, SeverableProxy } from "../../../scripts/chaos/severable-proxy";
import { eventually } from "../../support/eventually";
import { startCopy } from "./clients";
import { useControlPlane } from "./use-control-plane";

const plane = useControlPlane();

afterEach(() => jest.restoreAllMocks());

it("control-plane 22: whoever reaches the port takes no connection from the workers, however often it scrapes or asks whether a copy is ready", async () => {
  const asked = jest.spyOn(Pool.prototype, "query");
  jest.spyOn(performance, "now").mockReturnValue(performance.now());
  const times = (pattern: RegExp) => asked.mock.calls.filter(([statement]) => pattern.test(String(statement))).length;
  const ask = async (path: string) => (await fetch(`${plane.url}${path}`)).status;

  const statuses = await Promise.all(Array.from({ length: 200 }, () => ask("/metrics")));
  await Promise.all(Array.from({ length: 200 }, () => ask("/readyz")));

  expect(new Set(statuses)).toEqual(new Set([200]));
  expect([times(/from jobs group by/), times(/^select case current_setting\('transaction_read_only'\)/)]).toEqual([
    1, 1,
  ]);
});

it("control-plane 22: a copy whose database has vanished without a word tells its own figures, and that it is not ready", async () => {
  const url = new URL(plane.databaseUrl);
  const database: Destination = { name: "database", port: Number(url.port) };
  const proxy = await SeverableProxy.listen([database]);
  url.port = `${proxy.port}`;
  const { controlPlane } = await startCopy(url.href);
  const figures = async () => {
    const answer = await fetch(`${controlPlane.url}/metrics`);
    const said = await answer.text();
    return answer.status === 200 ? said : undefined;
  };
  const isUp = (up: 0 | 1) =>
    eventually(async () => {
      const said = await figures();
      return said?.includes(`\nholdfast_database_up ${up}\n`) ? said : undefined;
    });
  expect(await isUp(1)).toContain("\nholdfast_oldest_transaction_seconds{");

  const heal = proxy.cut(database);
  const told = await isUp(0);
  expect(told).toContain("\nholdfast_parked_claims 0\n");
  expect(told).not.toContain("\nholdfast_oldest_transaction_seconds{");
  expect((await fetch(`${controlPlane.url}/readyz`)).status).toBe(503);

  heal();
  await isUp(1);
  await eventually(async () => ((await fetch(`${controlPlane.url}/readyz`)).status === 200 ? true : undefined));
  await controlPlane.stop();
  await proxy.close();
});
