/** A local fleet as a process of its own: `run-fleet.ts <state folder> [rows]`, the outcome as the last line. */
import { runFleet } from "../../../scripts/up/run";
import { screen } from "../../../scripts/up/screen";

const [stateFolder = "", rows] = process.argv.slice(2);
const interrupted = new AbortController();
process.once("SIGINT", () => interrupted.abort());

runFleet({
  stateFolder,
  ordersPerSecond: 50,
  ...(rows !== undefined && { untilRows: Number(rows) }),
  screen: screen(process.stdout),
  interrupted: interrupted.signal,
  abandoned: new AbortController().signal,
}).then((outcome) => console.log(JSON.stringify(outcome)));
