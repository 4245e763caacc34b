import { run } from "./child";
import { sleep } from "./waiting";

export interface ServiceState {
  /** Start-up is finished: `systemctl start` of a Type=notify unit returns now. */
  readonly ready?: boolean;
  readonly stopping?: boolean;
  /** Still alive; expected more often than WatchdogSec. */
  readonly watchdog?: boolean;
  /** How long systemd waits for the next sign of life from now on, in place of WatchdogSec. */
  readonly watchdogMs?: number;
  /** The start, or the stop, may take that much longer from now on. */
  readonly extendTimeoutMs?: number;
  /** One line for `systemctl status`. */
  readonly status?: string;
}

/**
 * Tells systemd about this service, see sd_notify(3); does nothing outside a unit that has a notification socket.
 * Node.js has no unix datagram sockets, so systemd-notify carries the message: the unit needs NotifyAccess=all.
 */
export async function notifySystemd(state: ServiceState): Promise<void> {
  if (!process.env["NOTIFY_SOCKET"]) return;
  const message = [
    ...(state.ready ? ["READY=1"] : []),
    ...(state.stopping ? ["STOPPING=1"] : []),
    ...(state.watchdogMs === undefined ? [] : [`WATCHDOG_USEC=${Math.ceil(state.watchdogMs * 1_000)}`]),
    ...(state.watchdog ? ["WATCHDOG=1"] : []),
    ...(state.extendTimeoutMs === undefined ? [] : [`EXTEND_TIMEOUT_USEC=${state.extendTimeoutMs * 1_000}`]),
    ...(state.status === undefined ? [] : [`STATUS=${state.status.replaceAll("\n", " ")}`]),
  ];
  await run("systemd-notify", message, { timeoutMs: 5_000 });
}

const SHUTDOWN_LOOK_MS = 2_000;

/**
 * Resolves with whether systemd turns the machine off, as soon as it does; with false once `signal` is aborted.
 * Any user may ask, for as long as the bus is there: the unit needs After=dbus.service.
 */
export async function machineStops(signal: AbortSignal): Promise<boolean> {
  const ask = () => run("systemctl", ["show", "--value", "--property=SystemState"], { timeoutMs: 5_000 });
  while (!signal.aborted) {
    if ((await ask().catch(() => "")).trim() === "stopping") return true;
    await sleep(SHUTDOWN_LOOK_MS, signal);
  }
  return false;
}

/** How often WATCHDOG=1 is due: half of the unit's WatchdogSec, see sd_watchdog_enabled(3); undefined without one. */
export function watchdogPeriodMs(environment: NodeJS.ProcessEnv = process.env): number | undefined {
  const microseconds = Number(environment["WATCHDOG_USEC"]);
  return microseconds > 0 ? microseconds / 2_000 : undefined;
}
