import type { Check, Happening } from "./happening";
import { lanesOf } from "./lanes";
import { mostOutTogether, outOfService } from "./service";

/** What was rehearsed, and on what. */
export interface Rehearsed {
  readonly deployment: string;
  readonly machines: "none" | "container";
  /** What is different here from where the deployment belongs. */
  readonly remarks: readonly string[];
  /** ISO 8601 */
  readonly startedAt: string;
  readonly interrupted: boolean;
}

/** A step or an event: how long it took, what it cost, and whether it showed what it was to show. */
export interface Chapter {
  readonly title: string;
  readonly node: string | undefined;
  readonly fromMs: number;
  /** Undefined where the rehearsal ended in the midst of it. */
  readonly durationMs: number | undefined;
  readonly outTogether: number;
  /** Milliseconds by node. */
  readonly outOfServiceMs: Readonly<Record<string, number>>;
  /** Longest time between two acknowledged writes; undefined where nobody writes. */
  readonly longestGapMs: number | undefined;
  readonly checks: readonly Check[];
  readonly ok: boolean;
}

export interface Report extends Rehearsed {
  readonly ok: boolean;
  readonly durationMs: number;
  readonly chapters: readonly Chapter[];
  readonly nodes: readonly {
    readonly node: string;
    /** From its first instance until it first was in service; undefined where it never was. */
    readonly firstInServiceMs: number | undefined;
    /** Instances that stood for it, the last one last. */
    readonly instances: readonly string[];
  }[];
}

/** What a story comes to. */
export function reportOf(rehearsed: Rehearsed, happenings: readonly Happening[], durationMs: number): Report {
  const chapters = chaptersOf(happenings, durationMs);
  return {
    ...rehearsed,
    ok: !rehearsed.interrupted && chapters.length > 0 && chapters.every(({ ok }) => ok),
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
