import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../../../../agent/host/log";
import { Upgrades } from "../../../../agent/worker/upgrade/upgrades";

test("R31: a worker without a release key refuses each upgrade with that reason, and fetches nothing", async () => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-upgrade-"));
  const unexpected = () => {
    throw new Error("nothing is to be fetched, watched or started again");
  };
  const settled = new Promise<void>((resolve) => {
    let changes = 0;
    const upgrades = new Upgrades(
      { key: undefined, directory, gateMs: 1, programs: {}, fetchRelease: unexpected, watch: unexpected },
      {
        log: createLog(() => {}),
        // Once when it begins, once when it has ended.
        changed: () => {
          changes += 1;
          if (changes < 2) return;
          expect(upgrades.said()).toEqual({
            campaignId: "11111111-1111-4111-8111-111111111111",
            state: "failed",
            detail: "the worker holds no release key, so nothing that it could verify a release with",
          });
          resolve();
        },
        mayRestart: () => true,
        restart: unexpected,
        failures: () => 0,
      },
    );
    upgrades.obey({
      kind: "upgrade",
      campaignId: "11111111-1111-4111-8111-111111111111",
      program: "agent",
      version: "9.0.0",
      url: "https://releases.example.com/worker-agent.mjs",
      sha256: "0".repeat(64),
      signature: "AAAA",
      downgrade: false,
    });
  });
  await settled;
  rmSync(directory, { recursive: true });
});
