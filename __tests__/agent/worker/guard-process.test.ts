import { existsSync, readFileSync } from "node:fs";
import type { DaemonHost, DaemonLaunch, DaemonProcess } from "../../../agent/worker/daemon/daemon-host";
import { guardFiles } from "../../../agent/worker/guard";
import { guarded } from "../../../agent/worker/guard-process";
import { useScratch } from "../../support/scratch";

const scratch = useScratch();

test("a guard that left because no lease was valid yet is followed by another", async () => {
  // GIVEN a guard that leaves at once when it is started first, as without a lease; the next one notes who it is, and stays
  const { guard } = guardFiles(scratch.path);
  const program = `cd '${scratch.path}'
if [ ! -e left ]; then touch left; exit 0; fi
set -- $(cat /proc/$$/stat)
echo "{\\"pid\\":$$,\\"start\\":\\"\${22}\\"}" > partial && mv partial '${guard}'
exec sleep 600`;
  const daemon = {} as DaemonProcess;
  const host: DaemonHost = { survivors: async () => [], start: async () => daemon };
  try {
    // WHEN a daemon is to be started
    const started = await guarded(host, scratch.path, ["/bin/sh", "-c", program]).start({} as DaemonLaunch);
    // THEN it is, under the eyes of the second
    expect(started).toBe(daemon);
    expect(existsSync(`${scratch.path}/left`)).toBe(true);
  } finally {
    if (existsSync(guard)) process.kill(JSON.parse(readFileSync(guard, "utf8")).pid, "SIGKILL");
  }
}, 60_000);
