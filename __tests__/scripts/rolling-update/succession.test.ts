import { Lock } from "../../../scripts/rolling-update/lock";
import { MemoryStore } from "../../../scripts/rolling-update/simulator/memory-store";
import { VirtualClock } from "../../../scripts/rolling-update/simulator/virtual-clock";
import { handOn } from "../../../scripts/rolling-update/succession";
import { seededRandom } from "../../../scripts/seeded-random";

/** A cluster whose nodes answer a request to go on as they are told to. */
async function ask(nodes: Readonly<Record<string, "resumes" | "does not start" | "cannot be asked">>) {
  const clock = new VirtualClock(seededRandom(1));
  const store = new MemoryStore();
  const first = clock.process();
  const asked: string[] = [];
  const start = async (node: string) => {
    asked.push(node);
    if (nodes[node] === "cannot be asked") throw new Error("Instances not in a valid state for account");
    if (nodes[node] !== "resumes") return;
    const process = clock.process();
    void process.sleep(4_000).then(() => Lock.acquire(store, process, node));
  };
  const own = await clock.run(Lock.acquire(store, first, "the first"));
  if (own === "still running") throw new Error("not acquired");
  await own.release();
  const result = await clock.run(
    handOn({ clock: first, store }, Object.keys(nodes), start).then(
      (node) => ({ node }),
      ({ code, reason, next }) => ({ code, reason, next }),
    ),
  );
  return { result, asked, seconds: clock.now() / 1_000 };
}

describe("handing a roll on", () => {
  test("ends when the successor owns the cluster", async () => {
    const { result, asked, seconds } = await ask({ n2: "resumes", n1: "resumes" });

    expect(result).toEqual({ node: "n2" });
    expect(asked).toEqual(["n2"]);
    expect(seconds).toBeLessThan(10);
  });

  test("asks the next where one cannot be asked, or does not begin", async () => {
    const { result, asked } = await ask({ n2: "cannot be asked", n1: "does not start", n3: "resumes" });

    expect(result).toEqual({ node: "n3" });
    expect(asked).toEqual(["n2", "n1", "n3"]);
  });

  test("gives up after three, with the reason and what to do", async () => {
    const { result, asked } = await ask({
      a: "does not start",
      b: "does not start",
      c: "cannot be asked",
      d: "resumes",
    });

    expect(result).toEqual({
      code: "HANDOVER_FAILED",
      reason: "node c: Instances not in a valid state for account",
      next: expect.stringContaining("resume"),
    });
    expect(asked).toEqual(["a", "b", "c"]);
  });
});
