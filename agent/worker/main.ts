/** The program in user data: `boot` turns the instance into a worker, `token` is one of its units. The agent itself is fetched. */
import { appendFileSync } from "node:fs";
import { run } from "../host/child";
import { writeFileAtomic } from "../host/files";
import { createLog, reason } from "../host/log";
import { bootWorker } from "./bootstrap";
import { fetchDeploymentToken } from "./deployment-token";
import { instance } from "./instance";
import { PATHS } from "./paths";

/** Exit status of a boot that has given up by itself: the boot script has nothing to add. */
const GAVE_UP = 3;

async function boot(): Promise<number> {
  // Neither a console that nobody reads nor a full disk ends the boot.
  process.stdout.on("error", () => {});
  const log = createLog((line) => {
    process.stdout.write(line);
    try {
      appendFileSync(PATHS.bootLog, line);
    } catch {
      // The console's log has the line.
    }
  });
  return (await bootWorker({ ...(await instance()), log, run, root: "", node: process.argv0 })) ? 0 : GAVE_UP;
}

/** Fetches the deployment's token into memory, for systemd to hand to the agent as a credential; an empty one where jobs come from a queue. */
async function token(): Promise<number> {
  const { aws, config } = await instance();
  await writeFileAtomic(
    PATHS.token,
    config.queue?.arn ? "" : await fetchDeploymentToken(aws, config.token ?? {}),
    0o600,
  );
  return 0;
}

const commands: Readonly<Record<string, () => Promise<number>>> = { boot, token };
const [name = ""] = process.argv.slice(2);
const command = commands[name];
if (!command) {
  console.error(`usage: worker.mjs ${Object.keys(commands).join(" | ")}`);
  process.exit(2);
}
command().then(
  (status) => process.exit(status),
  (error) => {
    console.error(reason(error));
    process.exit(1);
  },
);
