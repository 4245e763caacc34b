import type { z } from "zod";

/** What a rule has to say of a configuration: where, and what should be. The value itself is shown by whoever reports it. */
export interface Finding {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** A rule that no single key can be checked for. */
export type Rule<Config> = (config: Config) => readonly Finding[];

/** One finding if `broken`, else none. */
export function finding(broken: boolean, path: Finding["path"], message: string): Finding[] {
  return broken ? [{ path, message }] : [];
}

/** The rules as a refinement of the schema whose output they look at. */
export function refinement<Config>(rules: readonly Rule<Config>[]) {
  return (config: Config, context: z.RefinementCtx): void => {
    for (const { path, message } of rules.flatMap((rule) => rule(config))) {
      context.addIssue({ code: "custom", path: [...path], message });
    }
  };
}
