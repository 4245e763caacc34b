import { z } from "zod";

const milliseconds = z.number().int().positive();
const command = z.array(z.string().min(1)).min(1).readonly();

/** The fields every adapter's settings have, with the service commands its packages bring. */
export function memberSettings(service: { readonly stop: string[]; readonly start: string[] }) {
  return {
    timeoutMs: milliseconds.default(5_000),
    handOverTimeoutMs: milliseconds.default(60_000),
    stop: command.default(service.stop),
    start: command.default(service.start),
  };
}
