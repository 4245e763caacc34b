import { readBacklog } from "../store/backlog";
import { takeDuty } from "../store/duties";
import { findPinningTransaction } from "../store/horizon";
import { deletePast, deletePastAudit, forgetUnusedPools } from "../store/retention";
import { advanceUpgrades } from "../store/upgrades";
import { closeVanished } from "../store/vanished";
import type { PublishBacklog } from "./cloudwatch";
import type { ApiContext } from "./context";
import { goRounds, type Rounds } from "./rounds";

export interface HousekeepingProps {
  /** How long what has ended is kept. */
  readonly retentionDays: number;
  /** How long entries of the audit log are kept, at least 90. */
  readonly auditRetentionDays: number;
  /** @default - nobody is told how much work waits */
  readonly publishBacklog?: PublishBacklog | undefined;
}

interface Duty {
  readonly name: string;
  readonly periodSeconds: number;
  readonly perform: () => Promise<void>;
}

const LOOK_MS = 5_000;
/** A transaction this old is told; looked for twice as often, so that it is told before it has held up vacuum for a minute. */
const OLD_TRANSACTION_SECONDS = 30;
const MINUTE_MS = 60_000;
/** How long the publication of the backlog may take: another is due a minute after it began. */
const PUBLISH_MS = 30_000;

/**
 * Does what one copy does for all, each duty in rounds of its own, so that none waits for another. A duty that fails is logged and comes
 * again with its next period.
 */
export function keepHouse(api: ApiContext, props: HousekeepingProps): Rounds {
  const stopping = new AbortController();
  const duties = dutiesOf(api, props, stopping.signal).map(({ name, periodSeconds, perform }) =>
    goRounds(LOOK_MS, async () => {
      try {
        if (await takeDuty(api.pool, name, periodSeconds)) await perform();
      } catch (error) {
        api.logger.warn({ duty: name, error: String(error) }, "a duty failed and is done again when it is next due");
      }
    }),
  );
  return {
    stop: async () => {
      stopping.abort(new Error("this copy stops"));
      await Promise.all(duties.map((duty) => duty.stop()));
    },
  };
}

function dutiesOf(
  { pool, timing, logger, waker }: ApiContext,
  props: HousekeepingProps,
  stopping: AbortSignal,
): Duty[] {
  const { retentionDays, auditRetentionDays, publishBacklog } = props;
  const vanished: Duty = {
    name: "vanished",
    periodSeconds: 3_600,
    perform: async () => {
      const sessions = await closeVanished(pool, timing);
      if (sessions > 0) logger.info({ sessions }, "closed sessions of workers that were not heard of for a day");
    },
  };
  const retention: Duty = {
    name: "retention",
    periodSeconds: 3_600,
    perform: async () => {
      const rows = await deletePast(pool, retentionDays);
      if (rows > 0) logger.info({ rows, retentionDays }, "deleted what ended long ago");
    },
  };
  const auditRetention: Duty = {
    name: "audit-retention",
    periodSeconds: 3_600,
    perform: async () => {
      const entries = await deletePastAudit(pool, auditRetentionDays);
      if (entries > 0) logger.info({ entries, auditRetentionDays }, "deleted the oldest entries of the audit log");
    },
  };
  const pools: Duty = {
    name: "pools",
    // It reads every job there is.
    periodSeconds: 86_400,
    perform: async () => {
      const forgotten = await forgetUnusedPools(pool);
      if (forgotten > 0) logger.info({ pools: forgotten }, "forgot pools that nobody used for a year");
    },
  };
  const upgrades: Duty = {
    name: "upgrades",
    periodSeconds: 5,
    perform: async () => {
      for (const session of await advanceUpgrades(pool, timing)) waker.sessionTouched(session);
    },
  };
  const horizon: Duty = {
    name: "horizon",
    periodSeconds: OLD_TRANSACTION_SECONDS / 2,
    perform: async () => {
      const pinning = await findPinningTransaction(pool, OLD_TRANSACTION_SECONDS);
      if (pinning) logger.warn(pinning, "an old transaction keeps vacuum from every table: end it, claims grow slow");
    },
  };
  const always = [upgrades, horizon, vanished, retention, pools, auditRetention];
  if (!publishBacklog) return always;
  const backlog: Duty = {
    name: "backlog",
    periodSeconds: 60,
    perform: async () => {
      const { rows } = await pool.query<{ at: Date }>("select now() as at");
      const at = rows[0]?.at.getTime() ?? 0;
      const backlog = await readBacklog(pool);
      await inTime(stopping, (givenUp) => publishBacklog(backlog, new Date(at - (at % MINUTE_MS)), givenUp));
    },
  };
  return [backlog, ...always];
}

/** What is waited for no longer, whatever it does, once its time is over or this copy stops. */
async function inTime(stopping: AbortSignal, publish: (givenUp: AbortSignal) => Promise<void>): Promise<void> {
  // Not AbortSignal.any(): what listens to it is kept for as long as `stopping` is, which is as long as this copy runs.
  const giving = new AbortController();
  const { signal: givenUp } = giving;
  const stop = () => giving.abort(stopping.reason);
  const late = () => giving.abort(new Error(`the backlog was not published within ${PUBLISH_MS / 1_000} s`));
  const end = new Promise<never>((_, reject) => {
    givenUp.addEventListener("abort", () => reject(givenUp.reason), { once: true });
  });
  const timer = setTimeout(late, PUBLISH_MS);
  stopping.addEventListener("abort", stop);
  if (stopping.aborted) stop();
  try {
    await Promise.race([end, publish(givenUp)]);
  } finally {
    clearTimeout(timer);
    stopping.removeEventListener("abort", stop);
  }
}
