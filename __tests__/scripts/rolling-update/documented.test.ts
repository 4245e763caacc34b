import { readFileSync } from "node:fs";
import { join } from "node:path";
import { USAGE } from "../../../scripts/command-line";
import { EXIT, exitCodeOfError } from "../../../scripts/rolling-update/cli/exit-codes";
import { adviceFor } from "../../../scripts/rolling-update/failures";
import {
  type NodeFacts,
  nextStep,
  REPLACEMENT_STATES,
  type Replacement,
} from "../../../scripts/rolling-update/replacement";
import { LAUNCH_FAILURE_CODES, ROLL_FAILURE_CODES, RollError } from "../../../scripts/rolling-update/roll-error";
import { parseSettings } from "../../../scripts/rolling-update/settings";

const PAGE = readFileSync(join(__dirname, "../../../docs/rolling-update.md"), "utf8");
const CODES = [...ROLL_FAILURE_CODES, ...LAUNCH_FAILURE_CODES];

/** Rows of the table that begins with these columns. */
function table(...columns: string[]): string[][] {
  const lines = PAGE.split("\n");
  const head = lines.indexOf(`| ${columns.join(" | ")} |`);
  if (head === -1) throw new Error(`the page has no table of ${columns.join(", ")}`);
  const body = lines.slice(head + 2);
  return body.slice(0, body.indexOf("")).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const failures = () => table("symptom", "exit code", "what the roll did", "what you do");
const codesIn = (symptom = "") => Array.from(symptom.matchAll(/(?<=`)[A-Z_]+(?=`)/g), String);
const rowOf = (code: string) => failures().find(([symptom]) => codesIn(symptom).includes(code)) ?? [];

describe("the page says", () => {
  test("every stable error code once, and no other", () => {
    expect(
      failures()
        .flatMap(([symptom]) => codesIn(symptom))
        .sort(),
    ).toEqual([...CODES].sort());
  });

  test.each(CODES)("what %s ends with, what the roll did and what to do", (code) => {
    const [, exit, did, todo] = rowOf(code);

    expect(exit).toBe(String(exitCodeOfError(new RollError(code, ""))));
    expect(did).not.toBe("");
    expect(todo).not.toBe("");
  });

  const advised = LAUNCH_FAILURE_CODES.map((code) => [code, adviceFor(code).match(/(?<=`holdfast )[^`]+/g)] as const);
  test.each(advised.filter(([, commands]) => commands))(
    "for %s the commands that the roller itself advises",
    (code, commands) => {
      for (const command of commands ?? []) expect(rowOf(code)[3]).toContain(`\`${command}\``);
    },
  );

  test("every exit code once, and no other", () => {
    expect(table("exit code", "what it says").map(([code]) => Number(code))).toEqual([...Object.values(EXIT), USAGE]);
  });

  test("every state that a replacement leaves, and where it goes from there", () => {
    const documented = table("state", "leaves it when", "does", "to")
      .filter(([from]) => from !== "(at the gate)")
      .flatMap(([from = "", , , to = ""]) =>
        from.split(", ").flatMap((state) => to.split(/, | or /).map((next) => `${state} -> ${next || state}`)),
      );

    // A state that stays as it is needs a row only where it does something meanwhile.
    const waits = REPLACEMENT_STATES.map((state) => `${state} -> ${state}`);
    expect([...new Set([...documented, ...waits])].sort()).toEqual([...new Set([...transitions(), ...waits])].sort());
    expect(new Set(documented.map((arrow) => arrow.split(" ")[0]))).toEqual(new Set(REPLACEMENT_STATES));
  });
});

/** Every arrow that the machine has, whatever is true of the world. */
function transitions(): Set<string> {
  const arrows = new Set<string>();
  for (const forceDrain of [false, true]) {
    const settings = parseSettings({ forceDrain });
    for (const facts of worlds()) {
      for (const state of REPLACEMENT_STATES) {
        for (const sinceMs of [facts.nowMs, 0]) {
          const { after } = nextStep({ ...NODE, state, sinceMs }, facts, settings);
          arrows.add(`${state} -> ${after.state}`);
        }
      }
    }
  }
  return arrows;
}

const OLD = { id: "lt-00", version: 1 };
const NEW = { id: "lt-00", version: 2 };
const NODE: Omit<Replacement, "state" | "sinceMs"> = {
  rollId: "roll",
  node: "00",
  startedMs: 0,
  oldInstance: "i-1",
  newInstance: "i-2",
  from: OLD,
  to: NEW,
  strategy: "suspend-launch",
  held: false,
  drained: false,
  durations: {},
};

function* worlds(): Generator<NodeFacts> {
  const either = [false, true];
  const replacements: NodeFacts["replacement"][] = [
    undefined,
    { id: "i-2", template: NEW },
    { id: "i-3", template: NEW },
    { id: "i-2", template: OLD },
  ];
  const drains: NodeFacts["drain"][] = ["none", "not started", "running", "done", { failed: "it said no" }];
  for (const clear of either)
    for (const drain of drains)
      for (const removal of ["terminate", "under way"] as const)
        for (const released of either)
          for (const replacement of replacements)
            for (const inPlace of either)
              for (const fails of either)
                for (const validated of either)
                  for (const bakeMs of [0, 60_000])
                    for (const othersUnwell of either)
                      yield {
                        nowMs: 7 * 24 * 3_600_000,
                        clear,
                        obstacle: undefined,
                        drain,
                        removal,
                        released,
                        blocker: undefined,
                        newestActivity: undefined,
                        replacement,
                        inPlace,
                        launchFailure: fails ? { code: "LAUNCH_FAILED", reason: "no" } : undefined,
                        validated,
                        othersUnwell,
                        firingAlarms: [],
                        bakeMs,
                      };
}
