import { eventually } from "../../support/eventually";
import { TestWorker } from "./clients";
import { useControlPlane } from "./use-control-plane";

let begun = 0;
const plane = useControlPlane({
  props: {
    stopGraceMs: 60_000,
    publishBacklog: async () => {
      begun += 1;
      await new Promise(() => {});
    },
  },
});

it("control-plane 22: a duty that hangs delays no other one, nor the end of its copy", async () => {
  await eventually(async () => (begun > 0 ? true : undefined));
  const workers = [];
  for (const workerId of ["i-1", "i-2"]) {
    const worker = new TestWorker(plane.url, plane.operator.deploymentToken, workerId);
    worker.features = ["upgrade"];
    workers.push(await worker.open());
  }
  // Nothing is settled before the database was up for a whole lease, and those of these workers are not renewed.
  await plane.pool.query("update leases set expires_at = now() + interval '1 hour'");
  const release = { program: "agent", version: "2.0.0", url: "https://releases.example/agent.mjs" };
  const proof = { sha256: "ab".repeat(32), signature: "c2lnbmVk", soakMs: 0, waveSize: 2 };
  const { body } = await plane.operator.post("/upgrades", { ...release, ...proof });
  // GIVEN that what the next step of the upgrade does is left to the duty
  await plane.pool.query("delete from upgrade_workers");

  const asked = async () =>
    (await plane.pool.query("select 1 from upgrade_workers where upgrade_id = $1", [body.id])).rows;
  await eventually(async () => ((await asked()).length > 0 ? true : undefined));

  await plane.copies[0]?.controlPlane.stop();
  expect(plane.copies[0]?.logs.join()).not.toContain("does not answer");
});
