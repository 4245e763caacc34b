import * as z from "zod/mini";
import type { Store } from "./store";

const KEY = "control";
const commandSchema = z.enum(["pause", "abort"]);
/** What another terminal asks of the running roll. */
export type ControlCommand = z.infer<typeof commandSchema>;

export async function readControl(store: Store): Promise<ControlCommand | undefined> {
  const text = (await store.list(KEY)).get(KEY);
  return text === undefined ? undefined : commandSchema.parse(text);
}

export function command(store: Store, what: ControlCommand): Promise<void> {
  return store.write(KEY, what);
}

export function clearControl(store: Store): Promise<void> {
  return store.remove(KEY);
}
