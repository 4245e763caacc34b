import type { IncomingMessage } from "node:http";
import type { Pool } from "pg";
import { findTokenHolder, type TokenHolder, type TokenKind } from "../store/tokens";
import { RateLimit } from "./rate-limit";
import { RequestRefused, tokenInvalid } from "./refusal";
import { SuspectTokens } from "./suspect-tokens";
import { TokenMemory } from "./token-memory";

/** How a token is read from the header Authorization. */
type Scheme = (header: string) => string | undefined;

const BEARER: Scheme = (header) => /^Bearer (\S{8,256})$/.exec(header)?.[1];

/** RFC 7617: the token is the password. */
export const BASIC: Scheme = (header) => {
  const pair = /^Basic ([\w+/=]{8,512})$/.exec(header)?.[1];
  return pair && /^[^:]*:(\S{8,256})$/.exec(Buffer.from(pair, "base64").toString("utf8"))?.[1];
};

/** Whose requests are heard: tokens, and how many requests a token or an address has. */
export class Admission {
  /** A worker beats every few seconds and reports for at most 200 jobs. */
  private readonly perToken = new RateLimit(50, 400);
  /** Wrong tokens, per address; right ones from the same address are not held up. */
  private readonly failures = new RateLimit(1, 20);
  private readonly memory = new TokenMemory();
  private readonly suspects: SuspectTokens;

  constructor(private readonly pool: Pool) {
    this.suspects = new SuspectTokens(pool);
  }

  /**
   * Whom a request speaks for.
   * @param mayBeRemembered whoever uses the answer has the database check the token
   * @throws RequestRefused for a token that is not valid or of another kind, and when there are too many requests
   */
  async admit(
    incoming: IncomingMessage,
    kind: TokenKind,
    mayBeRemembered = false,
    scheme = BEARER,
  ): Promise<TokenHolder> {
    const token = tokenOf(incoming, scheme) ?? "";
    const known = this.memory.get(token);
    if (known) refuseWhenLimited(this.perToken.take(known.tokenId));
    const holder = known && mayBeRemembered ? known : await this.found(token, incoming, known);
    if (!known) refuseWhenLimited(this.perToken.take(holder.tokenId));
    if (holder.kind !== kind) {
      throw new RequestRefused(403, "token_scope", `this needs the token of a ${kind}, not of a ${holder.kind}`);
    }
    return holder;
  }

  /**
   * Asks the database whose token it is: at once where it was right before, or few wrong ones came from the address; else together
   * with others, so that nobody who tries tokens makes work, nor locks out those who come from the same address.
   */
  private async found(
    token: string,
    { socket }: IncomingMessage,
    known: TokenHolder | undefined,
  ): Promise<TokenHolder> {
    const address = socket.remoteAddress ?? "unknown";
    const waitMs = known ? 0 : this.failures.take(address);
    const isSuspect = waitMs > 0;
    if (token === "" || (isSuspect && !this.suspects.hasRoom)) refuseWhenLimited(waitMs);
    const holder = token && (await (isSuspect ? this.suspects.find(token) : findTokenHolder(this.pool, token)));
    if (holder) {
      if (!known && !isSuspect) this.failures.giveBack(address);
      this.memory.keep(token, holder);
      return holder;
    }
    this.memory.forget(token);
    refuseWhenLimited(known ? this.failures.take(address) : waitMs);
    throw tokenInvalid();
  }

  /** Has the database asked first when the token comes again. */
  forget(incoming: IncomingMessage): void {
    this.memory.forget(tokenOf(incoming, BEARER) ?? "");
  }
}

const tokenOf = ({ headers }: IncomingMessage, scheme: Scheme): string | undefined =>
  scheme(headers.authorization ?? "");

function refuseWhenLimited(retryAfterMs: number): void {
  if (retryAfterMs > 0) throw new RequestRefused(429, "rate_limited", "too many requests", { retryAfterMs });
}
