/** A fleet from its start to its end, as a person or a script sees it. */
import { relative } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { shellWord } from "../shell-word";
import { type Fleet, startFleet } from "./fleet";
import type { Screen } from "./screen";
import { isEqual } from "./shop";

export interface RunProps {
  readonly stateFolder: string;
  readonly ordersPerSecond: number;
  /**
   * Ends the run once so many rows have arrived and the copy equals the shop.
   * @default - runs until interrupted
   */
  readonly untilRows?: number;
  readonly screen: Screen;
  /** Stops the fleet in order. */
  readonly interrupted: AbortSignal;
  /** Ends its processes at once. */
  readonly abandoned: AbortSignal;
  /** Called once, when rows have begun to arrive. */
  readonly flowing?: () => void;
}

export interface RunOutcome {
  readonly rowsIn: number;
  readonly rowsOut: number;
  /** Whether the copy was seen to equal the shop; null when nobody looked. */
  readonly equal: boolean | null;
  /** From the start until the first row arrived; null when none did. */
  readonly firstRowMs: number | null;
}

const LOOK_MS = 1_000;
/** A run that is to end by itself gives up after this long. */
const BOUNDED_RUN_MS = 300_000;

/**
 * Runs a local fleet until it is interrupted, or has done what was asked. It is stopped in order in any case.
 *
 * @throws Error when a part cannot start, PostgreSQL ends, or a bounded run does not get done; the message names the log to read.
 */
export async function runFleet(props: RunProps): Promise<RunOutcome> {
  const { stateFolder, ordersPerSecond, screen, interrupted, abandoned } = props;
  const startedAt = performance.now();
  screen.say("… starting the local fleet: PostgreSQL, control plane, two workers");
  let does = "the fleet is stopped once it has started";
  const tell = () => {
    screen.settle();
    screen.say(`stopping; ${does} (Ctrl-C again, after a second, ends everything at once)`);
  };
  if (interrupted.aborted) tell();
  else interrupted.addEventListener("abort", tell, { once: true });
  try {
    const fleet = await startFleet({ stateFolder, ordersPerSecond, say: screen.say.bind(screen), abandoned }).catch(
      (error: Error) => {
        throw new Error(`the local fleet in ${stateFolder} did not start: ${error.message}`, { cause: error });
      },
    );
    does = "jobs are given back";
    try {
      if (!interrupted.aborted) screen.say(introduction(fleet, stateFolder));
      return await watch(fleet, props, startedAt);
    } finally {
      screen.settle();
      await fleet.stop();
    }
  } finally {
    interrupted.removeEventListener("abort", tell);
  }
}

async function watch(fleet: Fleet, props: RunProps, startedAt: number): Promise<RunOutcome> {
  const { screen, interrupted, untilRows } = props;
  const broken = fleet.broken.then((reason) => {
    throw new Error(reason);
  });
  broken.catch(() => undefined);
  const look = async () => await Promise.race([fleet.view(), broken]);
  const before = (await look()).progress.rowsOut;
  const giveUpLate = (reached: string): void => {
    if (performance.now() - startedAt < BOUNDED_RUN_MS) return;
    throw new Error(
      `after ${BOUNDED_RUN_MS / 60_000} minutes ${reached}; the logs of all parts are in ${props.stateFolder}`,
    );
  };
  let firstRowMs: number | null = null;
  for (;;) {
    const view = await look();
    if (!interrupted.aborted) screen.show(view);
    const { rowsIn, rowsOut } = view.progress;
    if (firstRowMs === null && rowsOut > before) {
      firstRowMs = performance.now() - startedAt;
      props.flowing?.();
    }
    if (interrupted.aborted) return { rowsIn, rowsOut, equal: null, firstRowMs };
    if (untilRows !== undefined) {
      if (rowsOut - before >= untilRows) return { ...(await settled(fleet, look, giveUpLate)), firstRowMs };
      giveUpLate(`${rowsOut - before} of ${untilRows} rows have arrived`);
    }
    await Promise.race([pause(LOOK_MS, undefined, { signal: interrupted }).catch(() => undefined), broken]);
  }
}

/** Closes the shop and waits until the copy equals it. */
async function settled(
  fleet: Fleet,
  look: Fleet["view"],
  giveUpLate: (reached: string) => void,
): Promise<Omit<RunOutcome, "firstRowMs">> {
  await fleet.closeShop();
  while (!(await isEqual(fleet.shop, fleet.copy))) {
    giveUpLate("the copy does not equal the shop");
    await pause(LOOK_MS / 4);
  }
  const { rowsIn, rowsOut } = (await look()).progress;
  return { rowsIn, rowsOut, equal: true };
}

function introduction({ url, operatorTokenFile }: Fleet, stateFolder: string): string {
  return [
    `local fleet: ${url}, its status page`,
    `  state: ${relative(process.cwd(), stateFolder) || stateFolder}; the next start goes on from it, delete it to begin anew`,
    `  try:   export HOLDFAST_URL=${url} HOLDFAST_TOKEN_FILE=${shellWord(operatorTokenFile)}`,
    "         npm run --silent holdfast -- job list",
    "         npm run --silent holdfast -- worker drain local-1",
    "  Ctrl-C stops it",
  ].join("\n");
}
