import type { HttpBindings } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import * as z from "zod";
import { Refusal } from "../protocol/schemas";
import { findTokenHolder, type TokenHolder, type TokenKind } from "../store/tokens";
import type { ApiContext } from "./context";
import { RateLimit } from "./rate-limit";
import { type RequestRefused as Refused, RequestRefused, tokenInvalid, toRefusal } from "./refusal";
import { TokenMemory } from "./token-memory";

type Bindings = { Bindings: Partial<HttpBindings> };

/** One operation of the API. */
export interface Route<Body extends z.ZodType, Answer extends z.ZodType> {
  readonly method: "get" | "post" | "delete";
  /** With parameters in braces: `/api/v1/deployments/{deploymentId}`. */
  readonly path: string;
  readonly summary: string;
  readonly token: TokenKind;
  /**
   * The handler has the database check the token together with what it writes, so that a holder who is remembered will do.
   * @default false - the database is asked first
   */
  readonly checksToken?: boolean;
  readonly body?: Body;
  readonly answer: Answer;
  readonly handle: (call: Call<z.output<Body>>) => Promise<z.input<Answer>>;
}

export interface Call<Body> {
  readonly holder: TokenHolder;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: Body;
  /** Aborted when the asker has gone. */
  readonly gone: () => AbortSignal;
  readonly outgoing: HttpBindings["outgoing"] | undefined;
}

/** Heartbeats of 200 jobs with their details fit. */
const BODY_LIMIT_BYTES = 1_048_576;
const UUID_PARAM = z.uuid();

type Scheme = (header: string) => string | undefined;

const BEARER: Scheme = (header) => /^Bearer (\S{8,256})$/.exec(header)?.[1];

/** RFC 7617: the token is the password. */
const BASIC: Scheme = (header) => {
  const pair = /^Basic ([\w+/=]{8,512})$/.exec(header)?.[1];
  return pair && /^[^:]*:(\S{8,256})$/.exec(Buffer.from(pair, "base64").toString("utf8"))?.[1];
};

/** Routes with what all of them share: tokens, limits, refusals, telemetry, and the OpenAPI document. */
export class Routes {
  readonly app = new OpenAPIHono<Bindings>();
  /** A worker beats every few seconds and reports for at most 200 jobs. */
  private readonly perToken = new RateLimit(50, 400);
  /** Wrong tokens, per address; right ones from the same address are not held up. */
  private readonly failures = new RateLimit(1, 20);

  private readonly memory = new TokenMemory();

  constructor(private readonly api: ApiContext) {
    this.app.openAPIRegistry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer" });
    this.app.use(async (c, next) => {
      await next();
      // A copy that stops takes no further request: RFC 9112, section 9.6.
      if (api.waker.stopped) c.header("connection", "close");
    });
    const refuseTooLarge = (c: Context) => this.refuse(c, "*", performance.now(), tooLarge());
    const countBytes = bodyLimit({ maxSize: BODY_LIMIT_BYTES, onError: refuseTooLarge });
    this.app.use(async (c, next) => {
      const declared = c.req.header("content-length");
      // Counting turns the body into a stream of another kind, which costs more than all else that is done with a short one.
      if (declared === undefined || c.req.header("transfer-encoding") !== undefined) return await countBytes(c, next);
      return Number(declared) > BODY_LIMIT_BYTES ? refuseTooLarge(c) : await next();
    });
    this.app.notFound((c) =>
      this.refuse(c, "*", performance.now(), new RequestRefused(404, "not_found", "no such path")),
    );
    this.app.get("/openapi.json", (c) => c.json(this.document()));
  }

  add<Body extends z.ZodType, Answer extends z.ZodType>(route: Route<Body, Answer>): void {
    this.describe(route);
    const path = route.path.replace(/\{(\w+)\}/g, ":$1");
    this.app.on(route.method.toUpperCase(), path, async (c) => {
      const startedAt = performance.now();
      try {
        const holder = await this.authenticate(c, route.token, route.checksToken);
        const params = c.req.param() as Record<string, string>;
        for (const [name, value] of Object.entries(params)) {
          if (!UUID_PARAM.safeParse(value).success) throw new RequestRefused(404, "not_found", `${name} is not an id`);
        }
        const body = route.body ? await parseBody(c, route.body) : (undefined as z.output<Body>);
        const gone = () => c.req.raw.signal;
        const call = { holder, params, query: c.req.query(), body, gone, outgoing: c.env.outgoing };
        const answer = await route.handle(call);
        this.api.telemetry.answered(route.path, 200, (performance.now() - startedAt) / 1_000);
        return c.json(answer as object, 200);
      } catch (error) {
        if (route.checksToken) this.memory.forget(BEARER(c.req.header("authorization") ?? "") ?? "");
        return this.refuse(c, route.path, startedAt, error);
      }
    });
  }

  /** A page for people. A browser asks them for a name, which does not matter, and for a password: an operator's token. */
  addPage(
    path: string,
    isOpen: boolean,
    render: (c: Context<Bindings>, holder: TokenHolder | undefined) => Promise<Response>,
  ): void {
    this.app.get(path, async (c) => {
      const startedAt = performance.now();
      try {
        const answer = await render(c, isOpen ? undefined : await this.authenticate(c, "operator", false, BASIC));
        this.api.telemetry.answered(path, 200, (performance.now() - startedAt) / 1_000);
        return answer;
      } catch (error) {
        const refusal = this.refuse(c, path, startedAt, error);
        if (refusal.status === 401)
          refusal.headers.set("www-authenticate", 'Basic realm="Holdfast: an operator\'s token"');
        return refusal;
      }
    });
  }

  /** The OpenAPI 3.1 document of all routes. */
  document(): object {
    return this.app.getOpenAPI31Document({ openapi: "3.1.0", info: { title: "Holdfast control plane", version: "1" } });
  }

  private async authenticate(
    c: Context<Bindings>,
    kind: TokenKind,
    mayBeRemembered = false,
    scheme = BEARER,
  ): Promise<TokenHolder> {
    const address = c.env.incoming?.socket.remoteAddress ?? "unknown";
    const token = scheme(c.req.header("authorization") ?? "");
    const remembered = mayBeRemembered && token ? this.memory.get(token) : undefined;
    const holder = remembered ?? (token ? await findTokenHolder(this.api.pool, token) : null);
    if (holder && token && mayBeRemembered && !remembered) this.memory.keep(token, holder);
    if (!holder) {
      refuseWhenLimited(this.failures.take(address));
      throw tokenInvalid();
    }
    refuseWhenLimited(this.perToken.take(holder.tokenId));
    if (holder.kind !== kind) {
      throw new RequestRefused(403, "token_scope", `this needs the token of a ${kind}, not of a ${holder.kind}`);
    }
    return holder;
  }

  private refuse(c: Context<Bindings>, route: string, startedAt: number, error: unknown): Response {
    const refusal: Refused | undefined = toRefusal(error);
    const status = refusal?.status ?? 500;
    this.api.telemetry.answered(route, status, (performance.now() - startedAt) / 1_000);
    if (refusal) {
      if (status === 503) this.api.logger.warn({ route, error: String(error) }, "refused");
      return c.json(refusal.body, refusal.status);
    }
    this.api.logger.error({ route, error: error instanceof Error ? error.stack : String(error) }, "a request failed");
    const body = {
      code: "internal",
      message: "the control plane failed; its log says why",
      jobs: [],
      retryAfterMs: 1_000,
    };
    return c.json({ error: body }, 500);
  }

  private describe<Body extends z.ZodType, Answer extends z.ZodType>(route: Route<Body, Answer>): void {
    const parameters = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
    this.app.openAPIRegistry.registerPath({
      method: route.method,
      path: route.path,
      summary: route.summary,
      security: [{ token: [] }],
      request: {
        ...(parameters.length > 0 && {
          params: z.object(Object.fromEntries(parameters.map((name) => [name, z.uuid()]))),
        }),
        ...(route.body && { body: { required: true, content: { "application/json": { schema: route.body } } } }),
      },
      responses: {
        200: {
          description: `Done. Needs the token of a ${route.token}.`,
          content: { "application/json": { schema: route.answer } },
        },
        default: { description: "Refused", content: { "application/json": { schema: Refusal } } },
      },
    });
  }
}

const tooLarge = (): RequestRefused =>
  new RequestRefused(413, "too_large", `a body has at most ${BODY_LIMIT_BYTES} bytes`);

function refuseWhenLimited(retryAfterMs: number): void {
  if (retryAfterMs > 0) throw new RequestRefused(429, "rate_limited", "too many requests", { retryAfterMs });
}

async function parseBody<Body extends z.ZodType>(c: Context, schema: Body): Promise<z.output<Body>> {
  let json: unknown;
  try {
    json = await c.req.json();
  } catch (error) {
    if (error instanceof SyntaxError) throw new RequestRefused(400, "invalid_message", "the body is not JSON");
    throw error;
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join(".") || "the body";
  throw new RequestRefused(400, "invalid_message", `${where}: ${issue?.message}`);
}
