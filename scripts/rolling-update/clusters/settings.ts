import * as z from "zod/mini";

const milliseconds = z.int().check(z.positive());
const command = z.readonly(z.array(z.string().check(z.minLength(1))).check(z.minLength(1)));

/** The fields every adapter's settings have, with the service commands its packages bring. */
export function memberSettings(service: { readonly stop: string[]; readonly start: string[] }) {
  return {
    timeoutMs: z._default(milliseconds, 5_000),
    handOverTimeoutMs: z._default(milliseconds, 60_000),
    stop: z._default(command, service.stop),
    start: z._default(command, service.start),
  };
}
