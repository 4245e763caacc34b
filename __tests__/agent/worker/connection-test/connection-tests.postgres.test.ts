import { eventually } from "../../daemon/eventually";
import { useMachine } from "../machine";

const machine = useMachine();

/** A datasource of the database that the machine runs anyway. */
async function datasource(name: string, url: string): Promise<string> {
  const { username, password, host, pathname } = new URL(url);
  const plain = { name, engine: "postgres", url: `postgres://${host}${pathname}` };
  const { body } = await machine.operator.post("/datasources", { ...plain, user: username, password });
  return body.id;
}

async function answered(datasourceId: string, role: "source" | "sink") {
  // A worker is asked only once its first heartbeat has opened its session.
  const asked = await eventually("a worker is there to be asked", async () => {
    const answer = await machine.operator.post(`/datasources/${datasourceId}/test`, { role });
    expect(answer.status).toBe(200);
    return answer;
  });
  return await eventually("the test is answered", async () => {
    const { body } = await machine.operator.get(`/connection-tests/${asked.body.id}`);
    expect(body.state).toBe("answered");
    return body;
  });
}

test("R35: an operator has a worker's agent test a connection and sees each step; the agent's log holds no credentials", async () => {
  const { url } = await machine.postgres.freshDatabase({ migrated: false });
  const agent = machine.startAgent("worker-1");
  await eventually("it is registered", async () => expect(agent.lines.join()).toContain('"registered"'));

  const id = await datasource("good", url);
  expect(await answered(id, "source")).toMatchObject({ ok: true, workerId: "worker-1" });
  expect(await answered(id, "sink")).toMatchObject({ ok: true });

  const wrong = url.replace(/:[^:@/]+@/, ":canary-wrong@");
  const { ok, steps } = await answered(await datasource("bad", wrong), "source");
  expect(ok).toBe(false);
  expect(steps.find(({ result }: { result: string }) => result === "failed")).toMatchObject({ step: "auth" });
  expect(agent.lines.join("")).not.toContain("canary");
  expect(agent.lines.join("")).not.toContain(new URL(url).password);
});
