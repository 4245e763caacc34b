import { hash } from "node:crypto";
import type { TokenHolder } from "../store/tokens";
import { keepAtMost } from "./keep-at-most";

/** Workers of several large fleets, and their operators. */
const MOST = 50_000;

/**
 * Whom tokens speak for, as the database said when they last came. What a token was issued for never changes; whether it is
 * still valid is for whoever uses what is remembered to have checked. Of tokens themselves only hashes are kept.
 */
export class TokenMemory {
  private readonly holders = new Map<string, TokenHolder>();

  get(token: string): TokenHolder | undefined {
    return this.holders.get(keyOf(token));
  }

  /** Keeps a holder, of a worker's token one whose session is open; it is forgotten when there are too many after it. */
  keep(token: string, holder: TokenHolder): void {
    if (holder.session && holder.session.state !== "open") return;
    this.holders.set(keyOf(token), holder);
    keepAtMost(MOST, this.holders);
  }

  forget(token: string): void {
    this.holders.delete(keyOf(token));
  }
}

const keyOf = (token: string): string => hash("sha256", token, "base64");
