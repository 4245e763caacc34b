import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { RegExpRouter } from "hono/router/reg-exp-router";
import * as z from "zod";
import { PROTOCOL_VERSION } from "../protocol/limits";
import { Refusal } from "../protocol/schemas";
import type { TokenHolder, TokenKind } from "../store/tokens";
import { Admission, BASIC } from "./admission";
import { BODY_LIMIT_BYTES, isDeclaredShort, textOf, tooLarge, unread } from "./body";
import type { ApiContext } from "./context";
import { type Leaving, LeavingAsker } from "./delivery";
import { protocolUnsupported, type RequestRefused as Refused, RequestRefused, toRefusal } from "./refusal";

type Bindings = { Bindings: HttpBindings };

/** One operation of the API. */
export interface Route<Body extends z.ZodType, Answer extends z.ZodType> {
  readonly method: "get" | "post" | "delete";
  /** With parameters in braces: `/api/v1/deployments/{deploymentId}`. */
  readonly path: string;
  readonly summary: string;
  readonly token: TokenKind;
  /** What may be asked for behind a question mark; the handler parses it. */
  readonly query?: z.ZodObject;
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
  readonly gone: Leaving;
  readonly outgoing: ServerResponse;
}

/** Compared as text, so in the form that the database gives them: RFC 9562, section 4, takes either case. */
export const uuid = z.uuid().toLowerCase();
const NONE: Readonly<Record<string, string>> = {};
const JSON_TYPE = { "content-type": "application/json" };

/** What a request asks for, but for whom it speaks. */
interface Asked extends Pick<Call<unknown>, "params" | "query"> {
  /** Reads the body. */
  readonly text: (incoming: IncomingMessage) => Promise<string>;
}

type AnyRoute = Route<z.ZodType, z.ZodType>;

interface Found extends Pick<Asked, "params"> {
  readonly route: AnyRoute;
}

interface Reply {
  readonly status: 200 | 500 | Refused["status"];
  readonly json: string;
  /** Zero: nothing is said about another attempt. */
  readonly retryAfterMs: number;
}

/** After these, what is remembered of the token may be wrong. The others, by far the most of all refusals, say nothing of it. */
const DOUBTFUL: ReadonlySet<number> = new Set([401, 403, 410, 500]);

/** Routes with what all of them share: tokens, limits, refusals, telemetry, and the OpenAPI document. */
export class Routes {
  readonly app = new OpenAPIHono<Bindings>();
  private readonly admission: Admission;
  private readonly viaHono = getRequestListener(this.app.fetch);
  /** Those that take a body. */
  private readonly writing = new RegExpRouter<AnyRoute>();

  constructor(private readonly api: ApiContext) {
    this.admission = new Admission(api.pool);
    this.app.openAPIRegistry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer" });
    this.app.use(async (c, next) => {
      await next();
      // A copy that stops takes no further request: RFC 9112, section 9.6.
      if (api.waker.stopped) c.header("connection", "close");
    });
    const onError = (c: Context) => respond(c, this.refuse("*", performance.now(), tooLarge()));
    const limited = bodyLimit({ maxSize: BODY_LIMIT_BYTES, onError });
    this.app.use(async (c, next) => {
      try {
        return await limited(c, next);
      } catch (error) {
        // What comes in chunks is read here.
        return respond(c, this.refuse("*", performance.now(), unread(error, c.env.incoming)));
      }
    });
    this.app.notFound((c) => respond(c, this.refuse("*", performance.now(), noSuchPath(c.req.path))));
    this.app.get("/openapi.json", (c) => c.json(this.document()));
  }

  /**
   * Answers a request of a server of node:http. What brings a short body and no query, by far the most of all requests, is answered without
   * Hono: its objects and streams cost more than all else that is done with a heartbeat. The rest is Hono's.
   */
  readonly listener = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const found = isDeclaredShort(incoming) && this.find(incoming);
    if (!found) return void this.viaHono(incoming, outgoing);
    const { route, params } = found;
    void this.answer(route, { incoming, outgoing }, { params, query: NONE, text: textOf }).then(
      ({ status, json, retryAfterMs }) => {
        if (this.api.waker.stopped) outgoing.setHeader("connection", "close");
        if (retryAfterMs > 0) outgoing.setHeader(...retryAfter(retryAfterMs));
        outgoing.writeHead(status, [
          "content-type",
          "application/json",
          "content-length",
          `${Buffer.byteLength(json)}`,
        ]);
        outgoing.end(json);
      },
    );
  };

  private find({ method = "", url = "" }: IncomingMessage): Found | undefined {
    // A parameter at a path's end would take the query for its own.
    if (url.includes("?")) return undefined;
    const [[first] = [], values = []] = this.writing.match(method, url);
    if (!first) return undefined;
    const [route, params] = first;
    return { route, params: paramsOf(params, values) };
  }

  add<Body extends z.ZodType, Answer extends z.ZodType>(route: Route<Body, Answer>): void {
    this.describe(route);
    const method = route.method.toUpperCase();
    const path = route.path.replace(/\{(\w+)\}/g, ":$1");
    if (route.body) this.writing.add(method, path, route as never);
    this.app.on(method, path, async (c) => {
      const asked = { params: c.req.param() as Record<string, string>, query: c.req.query(), text: () => c.req.text() };
      return respond(c, await this.answer(route, c.env, asked));
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
        const answer = await render(
          c,
          isOpen ? undefined : await this.admission.admit(c.env.incoming, "operator", false, BASIC),
        );
        this.api.telemetry.answered(path, 200, (performance.now() - startedAt) / 1_000);
        return answer;
      } catch (error) {
        const refusal = respond(c, this.refuse(path, startedAt, error));
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

  private async answer<Body extends z.ZodType, Answer extends z.ZodType>(
    route: Route<Body, Answer>,
    { incoming, outgoing }: HttpBindings,
    { params, query, text }: Asked,
  ): Promise<Reply> {
    const startedAt = performance.now();
    try {
      const holder = await this.admission.admit(incoming, route.token, route.checksToken);
      const ids = idsOf(params);
      const body = route.body ? parse(route.body, await read(text, incoming)) : (undefined as z.output<Body>);
      const answer = await route.handle({
        holder,
        params: ids,
        query,
        body,
        gone: new LeavingAsker(outgoing),
        outgoing,
      });
      this.api.telemetry.answered(route.path, 200, (performance.now() - startedAt) / 1_000);
      return { status: 200, json: JSON.stringify(answer), retryAfterMs: 0 };
    } catch (error) {
      const reply = this.refuse(route.path, startedAt, error);
      if (route.checksToken && DOUBTFUL.has(reply.status)) this.admission.forget(incoming);
      return reply;
    }
  }

  private refuse(route: string, startedAt: number, error: unknown): Reply {
    const refusal: Refused | undefined = toRefusal(error);
    const status = refusal?.status ?? 500;
    this.api.telemetry.answered(route, status, (performance.now() - startedAt) / 1_000);
    if (refusal) {
      if (status === 503) this.api.logger.warn({ route, error: String(error) }, "refused");
      return { status, json: JSON.stringify(refusal.body), retryAfterMs: refusal.retryAfterMs };
    }
    this.api.logger.error({ route, error: error instanceof Error ? error.stack : String(error) }, "a request failed");
    const retryAfterMs = 1_000;
    const body = { code: "internal", message: "the control plane failed; its log says why", jobs: [], retryAfterMs };
    return { status, json: JSON.stringify({ error: body }), retryAfterMs };
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
        ...(route.query && { query: route.query }),
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

/** What the router found in a path: values, or where they stand among those of the match. */
function paramsOf(found: Readonly<Record<string, string | number>>, values: readonly string[]): Asked["params"] {
  if (values.length === 0) return NONE;
  const entries = Object.entries(found);
  return Object.fromEntries(entries.map(([name, at]) => [name, typeof at === "string" ? at : (values[at] ?? "")]));
}

/** @throws RequestRefused for a parameter that is not an id */
function idsOf(params: Asked["params"]): Call<unknown>["params"] {
  if (params === NONE) return NONE;
  const ids = Object.entries(params).map(([name, value]) => {
    const id = uuid.safeParse(value);
    if (!id.success) throw new RequestRefused(404, "not_found", `${name} is not an id`);
    return [name, id.data];
  });
  return Object.fromEntries(ids);
}

/** A message of the worker protocol has its version in its path. */
function noSuchPath(path: string): RequestRefused {
  const [, version] = /^\/worker\/v(\d{1,9})\//.exec(path) ?? [];
  const isOther = version !== undefined && Number(version) !== PROTOCOL_VERSION;
  return isOther ? protocolUnsupported([Number(version)]) : new RequestRefused(404, "not_found", "no such path");
}

function respond(c: Context, { status, json, retryAfterMs }: Reply): Response {
  if (retryAfterMs > 0) c.header(...retryAfter(retryAfterMs));
  return c.body(json, status, JSON_TYPE);
}

/** For whoever does not read the body: RFC 9110, section 10.2.3, has whole seconds only. */
const retryAfter = (delayMs: number): [name: string, value: string] => ["retry-after", `${Math.ceil(delayMs / 1_000)}`];

async function read(text: Asked["text"], incoming: IncomingMessage): Promise<string> {
  try {
    return await text(incoming);
  } catch (error) {
    throw unread(error, incoming);
  }
}

function parse<Body extends z.ZodType>(schema: Body, text: string): z.output<Body> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new RequestRefused(400, "invalid_message", "the body is not JSON");
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join(".") || "the body";
  throw new RequestRefused(400, "invalid_message", `${where}: ${issue?.message}`);
}
