import fc from "fast-check";
import { evaluateMath, type Series } from "./metric-math";

const _ = undefined;

function math(text: string, terms: Record<string, Series> = {}, fillsEmpty = true): Series {
  const length = Object.values(terms)[0]?.length ?? 3;
  return evaluateMath(text, { terms, periodSeconds: 60, length, fillsEmpty, comparesMissing: false });
}

/** The examples of https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html. */
describe("the documented examples", () => {
  const comparison = { metric1: [30, 20, 0, 0], metric2: [20, _, 20, _] };
  const choice = { metric1: [1, 1, 0, 0, _], metric2: [30, _, 0, 0, 30], metric3: [0, 0, 20, _, 20] };

  test.each([
    ["metric1 < metric2", comparison, [0, 0, 1, 0]],
    ["metric1 >= 30", comparison, [1, 0, 0, 0]],
    ["metric1 > 15 AND metric2 > 15", comparison, [1, 0, 0, 0]],
    ["IF(metric1, metric2, metric3)", choice, [30, 0, 20, _, _]],
    ["IF(metric1, 5, metric3)", choice, [5, 5, 20, _, _]],
    ["IF(metric1, metric2, 5)", choice, [30, 0, 5, 5, _]],
    ["FILL(metric2, 10)", comparison, [20, 10, 20, 10]],
    ["FILL(metric2, REPEAT)", comparison, [20, 20, 20, 20]],
    ["FILL(metric2, LINEAR)", comparison, [20, 20, 20, _]],
    ["FILL(metric2, metric1)", comparison, [20, 20, 20, 0]],
    ["metric1 + metric2", comparison, [50, 20, 20, 0]],
    ["metric1 / (metric1 - 20)", comparison, [3, _, -0, -0]],
    ["SUM([metric1, metric2])", comparison, [50, 20, 20, 0]],
    ["MAX([metric1, metric2])", comparison, [30, 20, 20, 0]],
    ["metric1 - MIN(metric1)", comparison, [30, 20, 0, 0]],
    ["DIFF(metric1)", comparison, [_, -10, -20, 0]],
    ["CEIL(metric1 / 40)", comparison, [1, 1, 0, 0]],
    ["TIME_SERIES(10)", comparison, [10, 10, 10, 10]],
  ] as [string, Record<string, Series>, Series][])("%s", (text, terms, expected) => {
    expect(math(text, terms)).toEqual(expected);
  });
});

test.each([
  ["a + b * c", [7]],
  ["(a + b) * c", [9]],
  ["-a + b", [1]],
  ["c - b - a", [0]],
  ["c ^ b * a", [9]],
  ["a < b AND b < c", [1]],
  ["a > b OR b < c AND a < c", [1]],
  ["a > b || b > c && a < c", [0]],
  ["a + b >= c AND c != a", [1]],
])("binds as arithmetic does: %s", (text, expected) => {
  expect(math(text, { a: [1], b: [2], c: [3] })).toEqual(expected);
});

test.each([
  ["a +", "unexpected end in a +"],
  ["FILL(a", "unexpected end"],
  ["a b", "unexpected b in a b"],
  ["a ? 1", 'cannot read " ? 1"'],
  ["FIll(a, 0)", "FIll is not a function"],
  ["MEDIAN(a)", "MEDIAN is not a function"],
  ["missing + 1", "no metric or expression has the id missing"],
  ["5 + 5", "5 + 5 should give one time series"],
  ["REPEAT", "REPEAT stands only in FILL"],
])("refuses %s", (text, message) => {
  expect(() => math(text, { a: [1] })).toThrow(message);
});

const series = fc.array(fc.option(fc.integer({ min: -100, max: 100 }), { nil: undefined }), {
  minLength: 1,
  maxLength: 12,
});

test("FILL with a number leaves no gap and changes no existing point", () => {
  fc.assert(
    fc.property(series, (a) => {
      expect(math("FILL(a, 7)", { a })).toEqual(a.map((point) => point ?? 7));
    }),
  );
});

test("FILL is idempotent, and REPEAT only ever leaves a leading gap", () => {
  fc.assert(
    fc.property(series, fc.boolean(), (a, fillsEmpty) => {
      const once = math("FILL(a, REPEAT)", { a }, fillsEmpty);
      expect(math("FILL(a, REPEAT)", { a: once }, fillsEmpty)).toEqual(once);
      expect(once.slice(once.findIndex((point) => point !== undefined)).includes(undefined)).toBe(
        once.every((point) => point === undefined),
      );
    }),
  );
});

test("a series without any data stays empty where FILL is read so", () => {
  expect(math("FILL(a, 0)", { a: [_, _] }, false)).toEqual([_, _]);
  expect(math("FILL(a, 0)", { a: [_, _] }, true)).toEqual([0, 0]);
});

test("IF is the choice of its condition, point by point", () => {
  fc.assert(
    fc.property(series, (a) => {
      const chosen = math("IF(a > 0, a, 0 - a)", { a });
      expect(chosen).toEqual(a.map((point) => (point === undefined ? undefined : Math.abs(point))));
    }),
  );
});

test("AND and OR agree with De Morgan on full series", () => {
  const full = fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(full, full, (a, b) => {
      expect(math("(a AND b) == 0", { a, b })).toEqual(math("(a == 0) OR (b == 0)", { a, b }));
    }),
  );
});
