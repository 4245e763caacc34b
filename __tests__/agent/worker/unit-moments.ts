import type { Instance } from "../../support/instance/instance";

/** MESSAGE_ID of what systemd says of a unit: it is being stopped, or no process of it is left (sd-messages.h). */
const MESSAGES = {
  stopping: "de5b426a63be47a7b6ac3eaac82e2f6f",
  stopped: "9d1aaa27d60140bd96365438aad20286",
} as const;

/**
 * When systemd began to stop units, or was done with it, by name: in milliseconds of the monotonic clock, which is the same for every
 * process of this kernel, in a container or not. It is the journal's, and so a little later than the event.
 */
export async function unitsThatAre(
  what: keyof typeof MESSAGES,
  instance: Instance,
): Promise<ReadonlyMap<string, number>> {
  const wanted = ["--output=json", "--output-fields=UNIT", `MESSAGE_ID=${MESSAGES[what]}`];
  const lines = (await instance.exec("journalctl", ...wanted)).split("\n").filter((line) => line.startsWith("{"));
  return new Map(
    lines
      .map((line) => JSON.parse(line) as Readonly<Record<string, string>>)
      .map((entry) => [entry["UNIT"] ?? "", Number(entry["__MONOTONIC_TIMESTAMP"]) / 1_000]),
  );
}
