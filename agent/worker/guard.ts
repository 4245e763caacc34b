import { chmod, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { run } from "../host/child";
import { writeFileAtomic } from "../host/files";
import { type Log, reason } from "../host/log";
import { notifySystemd } from "../host/systemd";
import { sleep } from "../host/waiting";
import { environmentText, unitArguments, unitName } from "./daemon/daemon-unit";
import { GuardedLease } from "./guard-lease";
import { type GuardAnswer, GuardRequest, MAX_REQUEST_BYTES, type StartRequest } from "./guard-protocol";
import { machineInstant } from "./lease-keeper";

const TICK_MS = 250;
const SYSTEMCTL_TIMEOUT_MS = 30_000;

/** How long systemd waits for a sign of life while no lease is held, and how often one is given then. */
const IDLE_WATCHDOG_MS = 60_000;
const IDLE_SIGN_MS = 20_000;

/** Beyond the lease: a guard that turns ends by itself before. */
const WATCHDOG_MARGIN_MS = 1_000;

export interface GuardProps {
  /** In memory, readable by root alone but for the socket. */
  readonly directory: string;
  readonly socket: string;
  /** What runs a job that starts now. */
  readonly daemon: () => string;
}

/**
 * Starts daemons as systemd's units, and holds the lease for them: it ends when the lease does, and systemd ends with it every unit
 * that is bound to it. The same happens when it crashes or is killed. While it stands still, systemd's watchdog, which is set
 * to the end of the lease whenever there is a newer one, kills it (sd_notify(3), WATCHDOG_USEC=).
 */
export async function runGuard({ directory, socket, daemon }: GuardProps, log: Log): Promise<void> {
  const lease = new GuardedLease(machineInstant);
  const sign = signsOfLife(lease, log);
  const handle = async (request: GuardRequest): Promise<void> => {
    switch (request.kind) {
      case "lease":
        lease.hold(request.lease);
        return await sign();
      case "start":
        lease.hold(request.lease);
        // The watchdog knows of the lease before there is a daemon that needs it.
        await sign();
        if (lease.remainingMs() <= 0) throw new Error("the lease is over");
        return await startUnit(request, directory, daemon());
      case "signal":
        await systemctl("kill", `--signal=${request.signal}`, unitName(request));
        return;
      case "forget":
        return await forgetUnit(unitName(request));
    }
  };
  const server = createServer({ allowHalfOpen: true }, (connection) => void answer(connection, handle, log));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(socket, resolve);
  });
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
  for (let held = false; ; ) {
    const isValid = lease.remainingMs() > 0;
    if (held && !isValid) return;
    held = isValid;
    if (!held && performance.now() - signedAt > IDLE_SIGN_MS) {
      signedAt = performance.now();
      void sign();
    }
    await sleep(TICK_MS);
  }
}

async function startUnit(request: StartRequest, directory: string, daemon: string): Promise<void> {
  const unit = unitName(request);
  const written: string[] = [];
  const write = async (name: string, content: string) => {
    const path = join(directory, `${unit}.${name}`);
    written.push(path);
    await writeFileAtomic(path, content, 0o400);
    return path;
  };
  try {
    const credentials: Record<string, string> = {};
    const variables: Record<string, string> = { ...request.variables };
    for (const [name, content] of Object.entries(request.files)) {
      credentials[name] = await write(name, content);
      variables[name] = `/run/credentials/${unit}/${name}`;
    }
    const environmentFile = await write("environment", environmentText(variables));
    const { bound, limits } = request;
    const args = unitArguments({ ref: request, bound, limits, environmentFile, credentials, command: [daemon] });
    await run("systemd-run", args, { timeoutMs: SYSTEMCTL_TIMEOUT_MS });
  } finally {
    // systemd has read them, or never will.
    for (const path of written) await rm(path, { force: true });
  }
}

/** Whether it runs, has ended, has failed or was never there. */
async function forgetUnit(unit: string): Promise<void> {
  for (const verb of ["stop", "reset-failed"]) {
    await systemctl(verb, unit).catch(async (error) => {
      if ((await systemctl("show", "--value", "--property=LoadState", unit)).trim() !== "not-found") throw error;
    });
  }
}

const systemctl = (...args: string[]) => run("systemctl", args, { timeoutMs: SYSTEMCTL_TIMEOUT_MS });

async function answer(connection: Socket, handle: (request: GuardRequest) => Promise<void>, log: Log): Promise<void> {
  const say = (value: GuardAnswer) => connection.end(JSON.stringify(value));
  try {
    await handle(parseRequest(await received(connection)));
    say({});
  } catch (error) {
    log.warn("request refused", { reason: reason(error) });
    say({ error: reason(error) });
  }
}

/** @throws Error that shows nothing of the request, which may hold credentials. */
function parseRequest(text: string): GuardRequest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error("the request is not JSON");
  }
  const parsed = GuardRequest.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(`the request is not usable: ${parsed.error.issues.map(({ path }) => path.join(".")).join(", ")}`);
}

function received(connection: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    connection.on("data", (chunk) => {
      length += chunk.length;
      if (length > MAX_REQUEST_BYTES) reject(new Error(`the request is larger than ${MAX_REQUEST_BYTES} bytes`));
      else chunks.push(chunk);
    });
    connection.once("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    connection.once("error", reject);
  });
}
