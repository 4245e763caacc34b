import type { DaemonApi } from "../../../../agent/worker/daemon/daemon-api";
import type { DaemonHost } from "../../../../agent/worker/daemon/daemon-host";
import type { Daemon } from "./daemon";
import type { Worker } from "./worker";

/** The daemons of a machine, which its guard starts. */
export function hostOf(worker: Worker): DaemonHost {
  return {
    start: async ({ record }) => {
      const daemon = await worker.ask<Daemon>((started, failed) => worker.guard.start(record, started, failed));
      return daemon.process();
    },
    survivors: async () => {
      await worker.ask((answer: (nothing: undefined) => void) => worker.guard.startsOver(() => answer(undefined)));
      return worker.leftOut === "adoption" ? [] : [...worker.daemons].map((daemon) => daemon.process());
    },
  };
}

/** @throws Error where no daemon listens at the port. */
export function apiOn(worker: Worker, port: number): DaemonApi {
  const daemon = [...worker.daemons].find(({ record }) => record.port === port);
  const refused = async () => {
    throw new Error("connection refused");
  };
  return (
    daemon?.api ?? {
      health: refused,
      status: refused,
      figures: refused,
      pause: refused,
      resume: refused,
      stop: refused,
    }
  );
}
