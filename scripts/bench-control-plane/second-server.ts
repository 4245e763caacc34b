import { join } from "node:path";
import {
  type PrivateCluster,
  type PrivateClusterProps,
  startPrivateCluster,
} from "../../control-plane/store/private-cluster";
import type { Bench } from "../bench/bench";
import { quantile } from "./figures";
import { makeFolder } from "./plane";

const STARTS = 20;
const STARTS_AT_ONCE = 5;
const LIMIT_MS = 1_000;

/** How soon it is known that a folder has a server already. */
export const secondServer: Bench = {
  name: "second-server",
  about: `a private PostgreSQL server started on a folder where one runs, ${STARTS} times, and two at once where none does, ${STARTS_AT_ONCE} times: how long it takes until the second is refused`,
  run: async () => {
    const folder = makeFolder();
    const props = { directory: join(folder.directory, "postgres"), abandoned: folder.abandoned };
    const first = await startPrivateCluster(props);
    try {
      const runningMs: number[] = [];
      for (let start = 0; start < STARTS; start++) runningMs.push(refusedMs([await tried(props)]));
      await first.stop();
      const atOnceMs: number[] = [];
      for (let start = 0; start < STARTS_AT_ONCE; start++) {
        const both = await Promise.all([tried(props), tried(props)]);
        await Promise.all(both.map(({ server }) => server?.stop()));
        atOnceMs.push(refusedMs(both));
      }
      return [
        {
          case: "beside one that runs",
          figures: { "p50 ms": quantile(runningMs, 0.5), [MAX]: quantile(runningMs, 1) },
        },
        { case: "two at once", figures: { "p50 ms": quantile(atOnceMs, 0.5), [MAX]: quantile(atOnceMs, 1) } },
        { case: "limit", figures: { [MAX]: LIMIT_MS } },
      ];
    } finally {
      await first.stop();
      folder.remove();
    }
  },
};

const MAX = "max ms";

interface Tried {
  /** Undefined where it was refused. */
  readonly server: PrivateCluster | undefined;
  readonly ms: number;
}

async function tried(props: PrivateClusterProps): Promise<Tried> {
  const at = performance.now();
  const server = await startPrivateCluster(props).catch(() => undefined);
  return { server, ms: performance.now() - at };
}

/** @throws Error unless exactly one was refused. */
function refusedMs(starts: readonly Tried[]): number {
  const [refused, ...others] = starts.filter(({ server }) => server === undefined);
  if (!refused || others.length > 0) throw new Error("not exactly one of the servers was refused");
  return refused.ms;
}
