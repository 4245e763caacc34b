import { useControlPlane } from "../../control-plane/api/use-control-plane";
import { holdfast, type Outcome } from "./holdfast";

const plane = useControlPlane();

const ask = async (...words: string[]): Promise<Outcome> =>
  await holdfast(words, { HOLDFAST_URL: plane.url, HOLDFAST_TOKEN: plane.operator.token });

async function change(...words: string[]): Promise<void> {
  expect(await ask("datasource", "change", "orders-db", ...words)).toMatchObject({ code: 0, err: "" });
}

const shown = async (): Promise<Record<string, unknown>> =>
  JSON.parse((await ask("datasource", "show", "orders-db", "--json")).out);

it("a change that names no options leaves them as they are", async () => {
  await change("--option", "SINK_SCHEMA=copy", "--option", "sslmode=require");
  await change("--user", "other");

  expect(await shown()).toMatchObject({ user: "other", options: { SINK_SCHEMA: "copy", sslmode: "require" } });
});

it("a change that names nothing is refused", async () => {
  expect(await ask("datasource", "change", "orders-db")).toMatchObject({
    code: 1,
    err: expect.stringContaining("INVALID_MESSAGE: the body: name what to change: url, user, password or options"),
  });
});
