/** Writes the JSON schemas of what `holdfast roll` prints off a terminal: `tsx scripts/event-schemas.ts DIRECTORY`. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventJsonSchema } from "./rolling-update/events";
import { fleetEventJsonSchema } from "./rolling-update/fleet/fleet-events";

const [directory] = process.argv.slice(2);
if (directory === undefined) {
  console.error("usage: tsx scripts/event-schemas.ts DIRECTORY");
  process.exitCode = 64;
} else {
  mkdirSync(directory, { recursive: true });
  for (const [name, schema] of [
    ["roll-event", eventJsonSchema()],
    ["fleet-event", fleetEventJsonSchema()],
  ] as const) {
    writeFileSync(join(directory, `${name}.json`), `${JSON.stringify(schema, null, 2)}\n`);
  }
}
