import { chmod } from "node:fs/promises";
import { type Log, reason } from "../host/log";
import { notifySystemd } from "../host/systemd";
import { sleep } from "../host/waiting";
import { GuardedLease } from "./guard-lease";
import type { GuardAnswer, GuardRequest } from "./guard-protocol";
import { serveGuard } from "./guard-server";
import { GuardedUnits, type GuardedUnitsProps } from "./guarded-units";
import { machineInstant } from "./lease-keeper";

const TICK_MS = 250;

/** How long systemd waits for a sign of life while no lease is held, and how often one is given then. */
const IDLE_WATCHDOG_MS = 60_000;
const IDLE_SIGN_MS = 20_000;

/** Beyond the lease: a guard that turns ends by itself before. */
const WATCHDOG_MARGIN_MS = 1_000;

export interface GuardProps extends GuardedUnitsProps {
  /** Beside the daemons' credentials, and the agent's to ask at. */
  readonly socket: string;
}

/**
 * Starts daemons as systemd's units, and holds the lease for them: it ends when the lease does, and systemd ends with it every unit
 * that is bound to it. The same happens when it crashes or is killed. While it stands still, systemd's watchdog, which is set
 * to the end of the lease whenever there is a newer one, kills it (sd_notify(3), WATCHDOG_USEC=).
 */
export async function runGuard({ directory, socket, daemon }: GuardProps, log: Log): Promise<void> {
  const lease = new GuardedLease(machineInstant);
  const sign = signsOfLife(lease, log);
  const units = new GuardedUnits({ directory, daemon });
  const handle = async (request: GuardRequest): Promise<GuardAnswer> => {
    switch (request.kind) {
      case "lease":
        lease.hold(request.lease);
        await sign();
        return {};
      case "start": {
        const isAskedInTime = lease.hold(request.lease);
        await units.start(request, async () => {
          // The watchdog knows of the lease before there is a daemon that needs it.
          await sign();
          if (!isAskedInTime() || lease.remainingMs() <= 0) throw new Error("the lease is over");
        });
        return {};
      }
      case "signal":
        await units.signal(request, request.signal);
        return {};
      case "secrets":
        return { secrets: await units.secrets() };
      case "forget":
        await units.forget(request);
        return {};
    }
  };
  await serveGuard(socket, handle, log);
  // The group is the agent's.
  await chmod(socket, 0o660);
  await sign({ ready: true });
  await leaseOver(lease, sign);
  log.warn("lease over: systemd ends the daemons that may not outlive it");
}

type Sign = (state?: { readonly ready: boolean }) => Promise<void>;

/** Tells systemd how long it may hear nothing of the guard: until the end of the lease, as it is known when that is said. */
function signsOfLife(lease: GuardedLease, log: Log): Sign {
  let said: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined;
  return ({ ready } = { ready: false }) => {
    // Whoever asks while another sign is under way is served by the one after it.
    next ??= said.then(() => {
      next = undefined;
      const leftMs = lease.remainingMs();
      const watchdogMs = leftMs > 0 ? leftMs + WATCHDOG_MARGIN_MS : IDLE_WATCHDOG_MS;
      said = notifySystemd({ ready, watchdog: true, watchdogMs }).catch((error) =>
        log.warn("systemd not told", { reason: reason(error) }),
      );
      return said;
    });
    return next;
  };
}

/** Resolves when a lease that was held is over. */
async function leaseOver(lease: GuardedLease, sign: Sign): Promise<void> {
  let signedAt = performance.now();
  while (!lease.isOver) {
    if (lease.remainingMs() <= 0 && performance.now() - signedAt > IDLE_SIGN_MS) {
      signedAt = performance.now();
      void sign();
    }
    await sleep(TICK_MS);
  }
}
