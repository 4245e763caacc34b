import type { z } from "zod";

/** What a rule has to say of a configuration: where, and what should be. The value itself is shown by whoever reports it. */
export interface Finding {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** A rule that no single key can be checked for. */
export interface Rule<Config> {
  /**
   * Paths of what it looks at: `pools.*.size`, where `*` is any key, or `ssh.?`, where it is enough that `ssh` is there. Where
   * one of them is refused already, the rule is not asked.
   */
  readonly reads: readonly string[];
  readonly findings: (config: Config) => readonly Finding[];
}

/** One finding if `broken`, else none. */
export function finding(broken: boolean, path: Finding["path"], message: string): Finding[] {
  return broken ? [{ path, message }] : [];
}

/** The schema with `rules` on top; a key that is refused silences the rules that read it, and no other. */
export function withRules<Schema extends z.ZodType>(schema: Schema, rules: readonly Rule<z.output<Schema>>[]): Schema {
  return rules.reduce((refined, { reads, findings }) => {
    const paths = reads.map((path) => path.split("."));
    return refined.superRefine(
      (config, context) => {
        for (const { path, message } of findings(config)) {
          context.addIssue({ code: "custom", path: [...path], message });
        }
      },
      { when: ({ issues }) => !issues.some((issue) => paths.some((path) => refuses(issue, path))) },
    );
  }, schema);
}

/** Whether what `issue` refuses is at `path`, around it or inside it. An unknown key leaves those beside it as they are. */
function refuses({ code, path: refused = [] }: z.core.$ZodRawIssue, path: readonly string[]): boolean {
  return (
    code !== "unrecognized_keys" &&
    path.every((key, i) => i >= refused.length || key === "*" || key === String(refused[i]))
  );
}
