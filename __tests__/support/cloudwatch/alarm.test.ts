import fc from "fast-check";
import { type AlarmState, decide, type MissingData } from "./alarm";

const TREATMENTS: readonly MissingData[] = ["missing", "ignore", "breaching", "notBreaching"];
const CURRENT: AlarmState = "OK";

const points = (text: string) => text.split(" ").map((mark) => (mark === "-" ? undefined : mark === "X"));
const short = { ALARM: "A", OK: "O", INSUFFICIENT_DATA: "I" } as const;

/**
 * The example tables of https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html: a window of five
 * points (0 within, X breaching, - missing) and the state for each treatment; R retains the current state.
 */
test.each([
  ["0 - X - X", 3, "O O O O"],
  ["0 - - - -", 3, "O O O O"],
  ["- - - - -", 3, "I R A O"],
  ["0 X X - X", 3, "A A A A"],
  ["- - - - X", 3, "I R A O"],
  ["X - - - -", 3, "A R A O"],
  ["0 - X - X", 2, "A A A A"],
  ["0 0 X 0 X", 2, "A A A A"],
  ["0 - X - -", 2, "O O A O"],
  ["- - - - 0", 2, "O O A O"],
  ["- - - - X", 2, "I R A O"],
])("the documented example %s with %i of 3 to alarm", (window, datapointsToAlarm, expected) => {
  for (const current of ["OK", "ALARM"] as const) {
    const states = TREATMENTS.map((treatment) => {
      const state = decide(points(window), datapointsToAlarm, 3, treatment, current);
      return short[state];
    });
    expect(states.join(" ")).toBe(expected.replace("R", short[current]));
  }
});

const window = fc.array(fc.option(fc.boolean(), { nil: undefined }), { minLength: 1, maxLength: 20 });
const limits = fc
  .integer({ min: 1, max: 10 })
  .chain((of) => fc.tuple(fc.integer({ min: 1, max: of }), fc.constant(of)));

test("without gaps the treatment of missing data is of no account", () => {
  fc.assert(
    fc.property(limits, fc.array(fc.boolean(), { minLength: 10, maxLength: 20 }), ([breaching, of], full) => {
      const states = TREATMENTS.map((treatment) => decide(full, breaching, of, treatment, CURRENT));
      const expected = full.slice(-of).filter(Boolean).length >= breaching ? "ALARM" : "OK";
      expect(new Set(states)).toEqual(new Set([expected]));
    }),
  );
});

test("notBreaching never alarms where breaching would not", () => {
  fc.assert(
    fc.property(limits, window, ([breaching, of], some) => {
      const lenient = decide(some, breaching, of, "notBreaching", CURRENT);
      const strict = decide(some, breaching, of, "breaching", CURRENT);
      expect([lenient, strict]).not.toEqual(["ALARM", "OK"]);
    }),
  );
});

test("turning a point from within to breaching never ends an alarm", () => {
  fc.assert(
    fc.property(limits, window, fc.constantFrom(...TREATMENTS), fc.nat(), ([breaching, of], some, treatment, at) => {
      const worse = some.map((point, index) => (index === at % some.length && point !== undefined ? true : point));
      const before = decide(some, breaching, of, treatment, CURRENT);
      const after = decide(worse, breaching, of, treatment, CURRENT);
      expect(before === "ALARM" && after !== "ALARM").toBe(false);
    }),
  );
});
