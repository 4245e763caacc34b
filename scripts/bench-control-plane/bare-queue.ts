/**
 * A queue of jobs without what keeps them: a request puts in one row, and the claim that has waited longest takes one. Neither tokens
 * nor leases, fences, audit or more than one copy: what Node.js and PostgreSQL themselves take from a request to the answer of a claim.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Pool } from "pg";

const CREATE =
  "create table bare_jobs (id bigint generated always as identity primary key, spec jsonb not null, taken boolean)";
const PUT = { name: "put", text: "insert into bare_jobs (spec) values ($1)" };
const TAKE = {
  name: "take",
  text: `update bare_jobs set taken = true
    where id = (select id from bare_jobs where taken is null order by id limit 1 for update skip locked) returning id, spec`,
};

const pool = new Pool({ connectionString: process.env["DATABASE_URL"] });
const parked: ServerResponse[] = [];

function answer(response: ServerResponse, body: object): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function claim(response: ServerResponse): Promise<void> {
  const { rows } = await pool.query<{ id: number; spec: object }>(TAKE);
  if (rows.length === 0) parked.push(response);
  else answer(response, { grants: rows.map(({ id, spec }) => ({ jobId: id, fence: 1, spec })), actions: [] });
}

async function create(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = "";
  for await (const part of request.setEncoding("utf8")) text += part;
  await pool.query({ ...PUT, values: [text] });
  const woken = parked.shift();
  if (woken) void claim(woken);
  answer(response, {});
}

const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
  if (request.url?.endsWith("/jobs")) return void create(request, response);
  if (request.url === "/metrics") return void response.end(`holdfast_parked_claims ${parked.length}\n`);
  request.resume().once("end", () => (request.url?.endsWith("/claim") ? void claim(response) : answer(response, {})));
});

void pool.query(CREATE).then(() =>
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo;
    console.log(JSON.stringify({ url: `http://127.0.0.1:${port}`, msg: "listening" }));
  }),
);
