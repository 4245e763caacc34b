/** Writes the JSON schemas of what `holdfast roll` and `holdfast rehearse` print off a terminal, and of the report: `npm run schema`. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { happeningJsonSchema } from "./rehearse/story/happening";
import { reportJsonSchema } from "./rehearse/story/report";
import { eventJsonSchema } from "./rolling-update/events";
import { fleetEventJsonSchema } from "./rolling-update/fleet/fleet-events";

const [directory] = process.argv.slice(2);
if (directory === undefined) {
  console.error("usage: node --import tsx scripts/event-schemas.ts DIRECTORY");
  process.exitCode = 64;
} else {
  mkdirSync(directory, { recursive: true });
  for (const [name, schema] of [
    ["roll-event", eventJsonSchema()],
    ["fleet-event", fleetEventJsonSchema()],
    ["rehearsal-event", happeningJsonSchema()],
    ["rehearsal-report", reportJsonSchema()],
  ] as const) {
    writeFileSync(join(directory, `${name}.json`), `${JSON.stringify(schema, null, 2)}\n`);
  }
}
