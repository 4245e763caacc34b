import { z } from "zod";
import { checkSchema, type Happening } from "./happening";
import { lanesOf } from "./lanes";
import { mostOutTogether, outOfService } from "./service";

const milliseconds = z.number().nonnegative();

const rehearsedSchema = z.strictObject({
  deployment: z.string(),
  machines: z.enum(["none", "container"]),
  remarks: z.array(z.string()).readonly().describe("What is different here from where the deployment belongs."),
  startedAt: z.iso.datetime(),
  interrupted: z.boolean(),
  failure: z.string().optional().describe("What went wrong with the rehearsal itself, so that it could not go on."),
});

const chapterSchema = z.strictObject({
  title: z.string(),
  node: z.string().optional(),
  fromMs: milliseconds.describe("Since the rehearsal began."),
  durationMs: milliseconds.optional().describe("Absent where the rehearsal ended in the midst of it."),
  outTogether: z.number().int().nonnegative().describe("Most nodes that were out of service at once."),
  outOfServiceMs: z.record(z.string(), milliseconds).describe("By node."),
  longestGapMs: milliseconds
    .optional()
    .describe(
      "Longest time between two acknowledged writes; absent where none was longer than two turns of the writer.",
    ),
  checks: z.array(checkSchema).readonly(),
  ok: z.boolean(),
});

const reportSchema = rehearsedSchema
  .extend({
    ok: z.boolean(),
    durationMs: milliseconds,
    chapters: z.array(chapterSchema).readonly().describe("Plan, apply, boot, then one for each event."),
    nodes: z
      .array(
        z.strictObject({
          node: z.string(),
          firstInServiceMs: milliseconds
            .optional()
            .describe("From its first instance until it first was in service; absent where it never was."),
          instances: z.array(z.string()).readonly().describe("That stood for it, the last one last."),
        }),
      )
      .readonly(),
  })
  .meta({ title: "Report of a rehearsal", description: "What report.json holds." });

/** What was rehearsed, and on what. */
export type Rehearsed = Undefinable<z.infer<typeof rehearsedSchema>>;

/** A step or an event: how long it took, what it cost, and whether it showed what it was to show. */
export type Chapter = Undefinable<z.infer<typeof chapterSchema>>;

export type Report = Rehearsed & {
  readonly ok: boolean;
  readonly durationMs: number;
  readonly chapters: readonly Chapter[];
  readonly nodes: readonly Undefinable<z.infer<typeof reportSchema>["nodes"][number]>[];
};

/** JSON leaves out what is undefined. */
type Undefinable<T> = { readonly [Key in keyof T]: T[Key] | (undefined extends T[Key] ? undefined : never) };

/** The published schema of `report.json`. */
export function reportJsonSchema(): object {
  return z.toJSONSchema(reportSchema);
}

/** What a story comes to. */
export function reportOf(rehearsed: Rehearsed, happenings: readonly Happening[], durationMs: number): Report {
  const chapters = chaptersOf(happenings, durationMs);
  return {
    ...rehearsed,
    ok:
      !rehearsed.interrupted &&
      rehearsed.failure === undefined &&
      chapters.length > 0 &&
      chapters.every(({ ok }) => ok),
    durationMs,
    chapters,
    nodes: lanesOf(happenings, durationMs).map(({ node, spans }) => {
      const launchedMs = spans.find(({ instance }) => instance !== undefined)?.fromMs ?? 0;
      const first = spans.find(({ state }) => state === "in service")?.fromMs;
      return {
        node,
        firstInServiceMs: first === undefined ? undefined : first - launchedMs,
        instances: [...new Set(spans.flatMap(({ instance }) => instance ?? []))],
      };
    }),
  };
}

function chaptersOf(happenings: readonly Happening[], storyEndMs: number): Chapter[] {
  return happenings.flatMap((began) => {
    if (began.kind !== "began") return [];
    const ended = happenings.find(
      (happening) => happening.kind === "ended" && happening.chapter === began.chapter && happening.atMs >= began.atMs,
    );
    const checks = ended?.kind === "ended" ? ended.checks : [];
    const untilMs = ended?.atMs ?? storyEndMs;
    const gaps = happenings.flatMap((happening) =>
      happening.kind === "gap" && happening.atMs >= began.atMs && happening.atMs <= untilMs ? happening.gapMs : [],
    );
    return {
      title: began.title,
      node: began.node,
      fromMs: began.atMs,
      durationMs: ended && ended.atMs - began.atMs,
      outTogether: mostOutTogether(happenings, began.atMs, untilMs),
      outOfServiceMs: outOfService(happenings, began.atMs, untilMs),
      longestGapMs: gaps.length === 0 ? undefined : Math.max(...gaps),
      checks,
      ok: ended !== undefined && checks.every(({ ok }) => ok),
    };
  });
}
