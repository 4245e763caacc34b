/** Workers that wait for work at one copy, as a process of their own. It ends when whoever began it disconnects. */
import { createSecureContext } from "node:tls";
import { monotonicMs, type Orders, type Word } from "./fleet-process";
import { ParkedFleet } from "./parked-fleet";
import { steadily } from "./steadily";

const say = (word: Word): void => void process.send?.(word);

process.once("message", async ({ url, roads, authority, tokens, perSecond, parked }: Orders) => {
  const trust = authority === undefined ? {} : { secureContext: createSecureContext({ ca: authority }) };
  const fleet = new ParkedFleet(
    { url },
    roads.map((road) => ({ url: road, ...trust })),
  );
  process.on("message", async (name: string) => {
    const at = await fleet.told(name);
    say({ told: name, at: monotonicMs() - (performance.now() - at) });
  });
  process.once("disconnect", () => fleet.stop());
  await steadily(perSecond, tokens, async (token) => fleet.wait(token));
  await fleet.allParked(parked);
  say("parked");
});
