/** Takes a picture of the status page of a local fleet at work: `npm run screenshot -- docs/status-page.png`. Needs Chromium. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Command } from "commander";
import { examples, parse } from "../command-line";
import { run } from "../emulator/child";
import { untilEnded } from "../until-ended";
import { startFleet } from "./fleet";

const BROWSERS = ["chromium", "chromium-browser", "google-chrome"];
/** Workers push figures each minute: the picture shows the lag once the first have come. */
const FIGURES_MS = 75_000;

async function main(picture: string): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "holdfast-screenshot-"));
  chmodSync(scratch, 0o711);
  const ended = new AbortController();
  const removeScratch = untilEnded(() => {
    ended.abort();
    rmSync(scratch, { recursive: true, force: true, maxRetries: 10 });
  });
  const abandoned = ended.signal;
  const fleet = await startFleet({
    stateFolder: join(scratch, "state"),
    ordersPerSecond: 100,
    say: console.error,
    abandoned,
  });
  try {
    console.error(`waiting ${FIGURES_MS / 1_000} s until figures have come`);
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
    removeScratch();
  }
}

const program = new Command("npm run screenshot --")
  .description("Bring up a local fleet and take a picture of its status page once figures have come")
  .argument("[picture]", "where to write it", "docs/status-page.png")
  .addHelpText("after", `\nNeeds one of ${BROWSERS.join(", ")}.\n${examples("npm run screenshot -- picture.png")}`)
  .action(main);

void parse(program);
