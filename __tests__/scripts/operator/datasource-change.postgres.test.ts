import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { send } from "../../control-plane/api/clients";
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
    err: expect.stringContaining("INVALID_MESSAGE: the body: name what to change: url, user, password, options"),
  });
});

it("a change of one option leaves the others as they are", async () => {
  await change("--option", "SINK_SCHEMA=copy", "--option", "sslmode=require");
  await change("--option", "sslmode=verify-full", "--option", "EMPTY=");

  expect(await shown()).toMatchObject({ options: { SINK_SCHEMA: "copy", sslmode: "verify-full", EMPTY: "" } });
});

it("a change of one option leaves what somebody else changes at the same time as it is", async () => {
  await change("--option", "a=1", "--option", "b=2");
  const { id } = await shown();
  // Somebody else is quicker, between what the command reads and what it writes.
  const between = createServer(async (incoming, outgoing) => {
    const { method = "", url = "", headers } = incoming;
    if (method === "POST") await plane.operator.post(`/datasources/${id}`, { options: { a: "1", b: "two", c: "3" } });
    const { status, body } = await send(
      plane.url,
      url,
      `${headers.authorization}`.replace("Bearer ", ""),
      method === "POST" ? await json(incoming) : undefined,
      method,
    );
    outgoing.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => between.listen(0, "127.0.0.1", resolve));
  const { port } = between.address() as AddressInfo;
  const words = ["datasource", "change", "orders-db", "--option", "d=4", "--remove-option", "a"];
  const environment = { HOLDFAST_URL: `http://127.0.0.1:${port}`, HOLDFAST_TOKEN: plane.operator.token };

  expect(await holdfast(words, environment)).toMatchObject({ code: 0, err: "" });
  between.close();
  between.closeAllConnections();
  expect(await shown()).toMatchObject({ options: { b: "two", c: "3", d: "4" } });
});

it("removes the options that are named", async () => {
  await change("--option", "a=1", "--option", "b=2", "--option", "c=3");
  await change("--remove-option", "a", "--remove-option", "b", "--option", "d=4");
  expect(await shown()).toMatchObject({ options: { c: "3", d: "4" } });

  await change("--remove-option", "c", "--remove-option", "d");
  expect(await shown()).toMatchObject({ options: {} });
});

it("refuses to remove an option that is not there, or is set as well", async () => {
  await change("--option", "SINK_SCHEMA=copy");

  expect(await ask("datasource", "change", "orders-db", "--remove-option", "SINK_SHEMA")).toMatchObject({
    code: 1,
    err: expect.stringMatching(
      /^OPTION_UNKNOWN: orders-db has no option SINK_SHEMA; it has SINK_SCHEMA\n.*next: holdfast datasource show orders-db\n$/s,
    ),
  });
  const both = ["--option", "SINK_SCHEMA=other", "--remove-option", "SINK_SCHEMA"];
  expect(await ask("datasource", "change", "orders-db", ...both)).toMatchObject({
    code: 1,
    err: expect.stringContaining("OPTIONS_CONTRADICT: option SINK_SCHEMA is to be set and removed"),
  });
  expect(await shown()).toMatchObject({ options: { SINK_SCHEMA: "copy" } });
});

it("options that the API is given are all that there are", async () => {
  await change("--option", "a=1");
  const { id } = await shown();
  await plane.operator.post(`/datasources/${id}`, { options: { b: "2" } });

  expect(await shown()).toMatchObject({ options: { b: "2" } });
});
