import { useMachine } from "./machine";

const machine = useMachine();

test("a job runs on the worker that claims it, and its rows arrive", async () => {
  const job = await machine.createJob("orders");
  const agent = machine.startAgent("worker-1");

  await job.reaches("running");
  await job.equal();
  await job.source.query("insert into item values (4, 'four')");
  await job.equal();

  // WHEN the agent is told to end, the job is given back with what it reached
  agent.process.kill("SIGTERM");
  expect(await agent.ended).toBe(0);
  expect(await agent.daemons()).toEqual([]);
  expect((await job.state())["state"]).toBe("pending");
});
