import type { ChaosFleet } from "../../../scripts/chaos/fleet";
import { Injector } from "../../../scripts/chaos/inject";

afterEach(() => jest.restoreAllMocks());

test("a machine that cannot be frozen as a whole goes on, and the reason is told", async () => {
  // GIVEN a worker of which the system does not say at the second look what it runs
  const looks = [
    () => [11, 12],
    () => {
      throw new Error("whether process 12 lives cannot be told");
    },
  ];
  const worker = { name: "w0", agent: { pid: 11 }, everything: () => looks.shift()?.(), daemons: () => [] };
  const injector = new Injector({ workers: [worker] } as unknown as ChaosFleet, new AbortController().signal);
  const signals: unknown[] = [];
  jest.spyOn(process, "kill").mockImplementation((...sent) => {
    signals.push(sent);
    return true;
  });

  const injected = injector.inject({ afterMs: 0, holdMs: 0, fault: { kind: "freeze-machine", worker: 0 } });

  await expect(injected).rejects.toThrow("whether process 12 lives cannot be told");
  expect(signals).toEqual([
    [11, "SIGSTOP"],
    [12, "SIGSTOP"],
    [11, "SIGCONT"],
    [12, "SIGCONT"],
  ]);
});
