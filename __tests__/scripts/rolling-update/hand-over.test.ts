import type { NetworkInterface } from "../../../scripts/rolling-update/cloud";
import { Monitor } from "../../../scripts/rolling-update/simulator/monitor";
import { SimulatedAws } from "../../../scripts/rolling-update/simulator/simulated-aws";
import { behind, rehearse, stranded } from "../../support/rolling";

describe("handing interface and volumes over", () => {
  test.each([5_000, 20_000, 40_000, 120_000, 300_000, 900_000])(
    "R5: no launch before the old instance is gone, shutdown of %i ms",
    async (shutdownMs) => {
      const aws = await SimulatedAws.running({ ec2: { shutdownMs: () => shutdownMs } });
      const monitor = new Monitor(aws);
      aws.release();

      const { outcome } = await rehearse(aws);

      expect(outcome).toMatchObject({ status: "done", replaced: ["00", "01", "02"] });
      expect(behind(aws)).toEqual([]);
      expect(monitor.launchesIntoUsedInterface).toBe(0);
      expect(monitor.violations).toEqual([]);
      expect(stranded(aws)).toEqual([]);
    },
  );

  test("R5: nor before its volume is free, which may take longer than the shutdown", async () => {
    const aws = await SimulatedAws.running({ ec2: { shutdownMs: () => 5_000, detachMs: () => 300_000 } });
    const monitor = new Monitor(aws);
    aws.release();
    const resumed: unknown[] = [];
    const around = async (method: string, call: () => Promise<unknown>) => {
      if (method === "resumeLaunch") {
        const gone = aws.manifest.nodes[resumed.length];
        resumed.push([
          aws.ec2.interfaces.get(gone?.interfaceId ?? "")?.current.status,
          aws.ec2.volumes.get(gone?.volumeIds[0] ?? "")?.current.state,
        ]);
      }
      return call();
    };

    const { outcome } = await rehearse(aws, { connection: { around } });

    expect(outcome.status).toBe("done");
    expect(resumed).toEqual(Array(3).fill(["available", "available"]));
    expect(monitor.launchesIntoUsedInterface).toBe(0);
  });

  test("R5: nor before its interface is free, though instance and volume are gone already", async () => {
    const aws = await SimulatedAws.running();
    aws.release({}, ["00"]);
    let freeMs = Number.POSITIVE_INFINITY;
    let resumedMs: number | undefined;
    const around = async (method: string, call: () => Promise<unknown>) => {
      if (method === "terminate") freeMs = aws.clock.now() + 10 * 60_000;
      if (method === "resumeLaunch") resumedMs ??= aws.clock.now();
      const answer = await call();
      if (method !== "describeInterfaces" || aws.clock.now() >= freeMs) return answer;
      return (answer as readonly NetworkInterface[]).map((card) => ({ ...card, status: "in-use" }));
    };

    const { outcome } = await rehearse(aws, { connection: { around } });

    expect(outcome).toMatchObject({ status: "done", replaced: ["00"] });
    expect(resumedMs).toBeGreaterThanOrEqual(freeMs);
  });

  test("R5: a group that replaces by itself does launch into the used interface", async () => {
    const aws = await SimulatedAws.running({ ec2: { shutdownMs: () => 120_000 } });
    const monitor = new Monitor(aws);
    aws.release();

    const { outcome } = await rehearse(aws, { settings: { strategy: "group-replaces" } });

    expect(outcome.status).toBe("done");
    expect(monitor.launchesIntoUsedInterface).toBeGreaterThan(0);
  });
});
