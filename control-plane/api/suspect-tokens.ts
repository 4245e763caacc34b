import type { Queryable } from "../store/database";
import { findTokenHolders, type TokenHolder } from "../store/tokens";

/** How often the database is asked for all that wait. */
export const LOOK_MS = 100;
const MOST_AT_ONCE = 1_000;
const MOST_WAITING = 10_000;

interface Waiting {
  readonly token: string;
  readonly resolve: (holder: TokenHolder | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Finds out whom tokens speak for that came from where many wrong ones come from. They are looked up together, ten times a second at
 * most: whatever comes costs the database no more, and a right one among them waits for no longer than that.
 */
export class SuspectTokens {
  private waiting: Waiting[] = [];
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly database: Queryable) {}

  /** Whether there is room for one more. */
  get hasRoom(): boolean {
    return this.waiting.length < MOST_WAITING;
  }

  async find(token: string): Promise<TokenHolder | null> {
    return await new Promise((resolve, reject) => {
      this.waiting.push({ token, resolve, reject });
      this.timer ??= setTimeout(() => void this.look(), LOOK_MS);
    });
  }

  private async look(): Promise<void> {
    const looked = this.waiting.splice(0, MOST_AT_ONCE);
    this.timer = this.waiting.length > 0 ? setTimeout(() => void this.look(), LOOK_MS) : undefined;
    try {
      const holders = await findTokenHolders(
        this.database,
        looked.map(({ token }) => token),
      );
      for (const { token, resolve } of looked) resolve(holders.get(token) ?? null);
    } catch (error) {
      for (const { reject } of looked) reject(error);
    }
  }
}
