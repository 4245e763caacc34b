import type { z } from "zod";
import type { DeploymentKeys } from "./deployment-keys";
import type { DeploymentStack } from "./deployment-stack";

/** A kind of deployment: what its documents may say, and how one becomes resources. */
export interface DeploymentKind<Schema extends z.ZodObject = z.ZodObject> {
  /** Value of the key `kind`. */
  readonly kind: string;
  /** What it deploys, in one sentence, for editors. */
  readonly summary: string;
  /** The keys beyond those of every document ({@link DeploymentKeys}); every object in it is strict. */
  readonly schema: Schema;
  /**
   * Fills the stack of a document that fits the schema.
   *
   * @throws Error naming field, value and remedy, for what only the constructs can tell; it is reported with the others.
   */
  readonly build: (stack: DeploymentStack, document: DeploymentKeys & z.output<Schema>) => void;
}

/** Checks `build` against `schema`, then forgets which schema it was, so that kinds of all sorts fit in one table. */
export function defineKind<Schema extends z.ZodObject>(kind: DeploymentKind<Schema>): DeploymentKind {
  return kind as unknown as DeploymentKind;
}
