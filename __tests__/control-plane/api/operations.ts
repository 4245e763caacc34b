import { WORKER_PATH } from "../../../control-plane/protocol";
import type { TokenKind } from "../../../control-plane/store/tokens";
import type { Schema } from "./document-values";

/** One operation of the OpenAPI document. */
export interface Operation {
  readonly method: string;
  /** With parameters in braces. */
  readonly path: string;
  readonly body: Schema | undefined;
  /** The kind of token that it takes. */
  readonly token: TokenKind;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
}

interface Described {
  readonly requestBody?: { readonly content: { readonly "application/json": { readonly schema: Schema } } };
  readonly responses: { readonly 200: { readonly description: string } };
}

/** Every operation that a control plane's OpenAPI document tells of. */
export async function operationsOf(url: string): Promise<Operation[]> {
  const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as Document;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { requestBody, responses }]) => ({
      method: method.toUpperCase(),
      path,
      body: requestBody?.content["application/json"].schema,
      token: /token of a (\w+)/.exec(responses[200].description)?.[1] as TokenKind,
    })),
  );
}

/** The name of a worker's message, of the operation that takes it. */
export const messageOf = ({ path }: Operation): string | undefined =>
  path.startsWith(WORKER_PATH) ? path.slice(WORKER_PATH.length) : undefined;

/** The path with its parameters' values. @throws Error for a parameter without one */
export function filled({ path }: Operation, values: Readonly<Record<string, string>>): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${path}: what is ${name}?`);
    return value;
  });
}
