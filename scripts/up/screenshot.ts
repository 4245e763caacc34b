/** Takes a picture of the status page of a local fleet at work: `npm run screenshot -- docs/status-page.png`. Needs Chromium. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { run } from "../emulator/child";
import { startFleet } from "./fleet";

const BROWSERS = ["chromium", "chromium-browser", "google-chrome"];
/** Workers push figures each minute: the picture shows the lag once the first have come. */
const FIGURES_MS = 75_000;

async function main(picture: string): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "holdfast-screenshot-"));
  chmodSync(scratch, 0o711);
  const fleet = await startFleet({ stateFolder: join(scratch, "state"), ordersPerSecond: 100, say: console.error });
  try {
    await pause(FIGURES_MS);
    for (const browser of BROWSERS) {
      const args = ["--headless", "--hide-scrollbars", "--window-size=1100,520", `--screenshot=${resolve(picture)}`];
      const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
      const { code } = await run(browser, [...args, ...sandbox, fleet.url], {}).catch(() => ({ code: -1 }));
      if (code === 0) return;
    }
    throw new Error(`no picture was taken: install one of ${BROWSERS.join(", ")}`);
  } finally {
    await fleet.stop();
    rmSync(scratch, { recursive: true });
  }
}

void main(process.argv[2] ?? "docs/status-page.png");
