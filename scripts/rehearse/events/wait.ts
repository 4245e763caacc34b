import { setTimeout as sleep } from "node:timers/promises";
import type { Act } from "../rehearsal";
import { othersStayed } from "./checks";

export const wait: Act = async (rehearsal, occasion) => {
  await sleep(occasion.event.forMs, undefined, { signal: rehearsal.signal });
  return [othersStayed(rehearsal, occasion, [])];
};
