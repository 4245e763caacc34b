import { type Expression, type Operator, parseExpression } from "./expression";

/** One value per period, oldest first; undefined where there is no data. */
export type Series = readonly (number | undefined)[];

export type Value = number | Series | readonly Series[];

export interface MathContext {
  readonly terms: Readonly<Record<string, Series>>;
  readonly periodSeconds: number;
  /** How many periods the window has. */
  readonly length: number;
  /**
   * Whether FILL fills a series that has no data in the whole window. The documentation leaves it open, so that what must hold
   * is tested with both.
   */
  readonly fillsEmpty: boolean;
  /** Whether a missing point compared with a scalar counts as 0; the documentation shows both. */
  readonly comparesMissing: boolean;
}

/**
 * Evaluates metric math over a window of periods, by the rules of
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html (each rule's section is named below).
 */
export function evaluateMath(text: string, context: MathContext): Series {
  const value = evaluate(parsed(text), context);
  if (!isSeries(value)) throw new Error(`metric math: ${text} should give one time series`);
  return value;
}

const parses = new Map<string, Expression>();

function parsed(text: string): Expression {
  const expression = parses.get(text) ?? parseExpression(text);
  parses.set(text, expression);
  return expression;
}

function evaluate(expression: Expression, context: MathContext): Value {
  switch (expression.kind) {
    case "number":
      return expression.value;
    case "id": {
      const term = context.terms[expression.name];
      if (term === undefined) throw new Error(`metric math: no metric or expression has the id ${expression.name}`);
      return term;
    }
    case "negate":
      return binary("-", 0, evaluate(expression.operand, context), context);
    case "binary":
      return binary(
        expression.operator,
        evaluate(expression.left, context),
        evaluate(expression.right, context),
        context,
      );
    case "array":
      return expression.items.map((item) => asSeries(evaluate(item, context)));
    case "keyword":
      throw new Error(`metric math: ${expression.name} stands only in FILL`);
    case "call":
      return call(expression.name, expression.args, context);
  }
}

function call(name: string, args: readonly Expression[], context: MathContext): Value {
  const [first, second, third] = args;
  if (first === undefined) throw new Error(`metric math: ${name} needs an argument`);
  const value = () => evaluate(first, context);
  switch (name) {
    case "FILL":
      if (second === undefined) throw new Error("metric math: FILL needs a filler");
      return fill(asSeries(value()), second, context);
    case "IF":
      if (second === undefined) throw new Error("metric math: IF needs a value");
      return choose(
        asSeries(value()),
        evaluate(second, context),
        third === undefined ? undefined : evaluate(third, context),
      );
    case "ABS":
      return each(asSeries(value()), Math.abs);
    case "CEIL":
      return each(asSeries(value()), Math.ceil);
    case "FLOOR":
      return each(asSeries(value()), Math.floor);
    case "DIFF":
      return differences(asSeries(value()));
    case "TIME_SERIES": {
      const scalar = value();
      if (typeof scalar !== "number") throw new Error("metric math: TIME_SERIES takes a scalar");
      return Array.from({ length: context.length }, () => scalar);
    }
    case "PERIOD":
      return context.periodSeconds;
    case "SUM":
    case "MIN":
    case "MAX":
    case "AVG":
      return aggregate(name, value());
    default:
      throw new Error(`metric math: ${name} is not a function of this evaluator`);
  }
}

/**
 * "Basic arithmetic functions": a missing value beside an existing one is 0; division by zero drops the point.
 * "Comparison and logical operators": true is 1, false is 0; a missing value beside an existing one is 0.
 * Where both are missing, and beside a scalar, the point stays missing (but see `comparesMissing`).
 */
function binary(operator: Operator, left: Value, right: Value, { comparesMissing }: MathContext): Value {
  if (typeof left === "number" && typeof right === "number") return apply(operator, left, right) ?? Number.NaN;
  const length = isSeries(left) ? left.length : asSeries(right).length;
  const scalarSide = typeof left === "number" || typeof right === "number";
  return Array.from({ length }, (_, index) => {
    const a = typeof left === "number" ? left : asSeries(left)[index];
    const b = typeof right === "number" ? right : asSeries(right)[index];
    if (a === undefined && b === undefined) return undefined;
    if (scalarSide && (a === undefined || b === undefined) && !(comparesMissing && isComparison(operator)))
      return undefined;
    return apply(operator, a ?? 0, b ?? 0);
  });
}

function apply(operator: Operator, a: number, b: number): number | undefined {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return b === 0 ? undefined : a / b;
    case "^":
      return a ** b;
    case "AND":
      return Number(a !== 0 && b !== 0);
    case "OR":
      return Number(a !== 0 || b !== 0);
    case "==":
      return Number(a === b);
    case "!=":
      return Number(a !== b);
    case "<":
      return Number(a < b);
    case "<=":
      return Number(a <= b);
    case ">":
      return Number(a > b);
    case ">=":
      return Number(a >= b);
  }
}

/** "Functions supported", FILL: a number, the last value before the gap (REPEAT), or a straight line across it (LINEAR). */
function fill(series: Series, filler: Expression, context: MathContext): Series {
  if (!context.fillsEmpty && series.every((point) => point === undefined)) return series;
  if (filler.kind === "keyword") return filler.name === "REPEAT" ? repeat(series) : interpolate(series);
  const value = evaluate(filler, context);
  return series.map((point, index) => point ?? (typeof value === "number" ? value : asSeries(value)[index]));
}

function repeat(series: Series): Series {
  let last: number | undefined;
  return series.map((point) => {
    last = point ?? last;
    return last;
  });
}

function interpolate(series: Series): Series {
  return series.map((point, index) => {
    if (point !== undefined) return point;
    const before = series.slice(0, index).findLastIndex((other) => other !== undefined);
    const after = series.findIndex((other, at) => at > index && other !== undefined);
    const [from, to] = [series[before], series[after]];
    if (from === undefined || to === undefined) return undefined;
    return from + ((to - from) * (index - before)) / (after - before);
  });
}

/**
 * "Using IF expressions": where the condition is missing, the point is; a true condition takes a missing second value as 0, a
 * false one drops a point whose third value is missing.
 */
function choose(condition: Series, whenTrue: Value, whenFalse: Value | undefined): Series {
  const at = (value: Value, index: number) => (typeof value === "number" ? value : asSeries(value)[index]);
  return condition.map((point, index) => {
    if (point === undefined) return undefined;
    if (point !== 0) return at(whenTrue, index) ?? 0;
    return whenFalse === undefined ? undefined : at(whenFalse, index);
  });
}

/** SUM, MIN, MAX, AVG: of one series a scalar, of an array of series the aggregate at each time. */
function aggregate(name: "SUM" | "MIN" | "MAX" | "AVG", value: Value): Value {
  if (typeof value === "number") throw new Error(`metric math: ${name} takes time series`);
  if (isSeries(value)) return statistic(name, value.filter(isPresent)) ?? Number.NaN;
  const [first] = value;
  return (first ?? []).map((_, index) => statistic(name, value.map((series) => series[index]).filter(isPresent)));
}

function statistic(name: "SUM" | "MIN" | "MAX" | "AVG", points: readonly number[]): number | undefined {
  if (points.length === 0) return undefined;
  const sum = points.reduce((total, point) => total + point, 0);
  return { SUM: sum, AVG: sum / points.length, MIN: Math.min(...points), MAX: Math.max(...points) }[name];
}

function differences(series: Series): Series {
  let last: number | undefined;
  return series.map((point) => {
    if (point === undefined) return undefined;
    const difference = last === undefined ? undefined : point - last;
    last = point;
    return difference;
  });
}

function each(series: Series, change: (point: number) => number): Series {
  return series.map((point) => (point === undefined ? undefined : change(point)));
}

function isComparison(operator: Operator): boolean {
  return ["==", "!=", "<", "<=", ">", ">="].includes(operator);
}

function isPresent(point: number | undefined): point is number {
  return point !== undefined;
}

function isSeries(value: Value): value is Series {
  return Array.isArray(value) && !value.some(Array.isArray);
}

function asSeries(value: Value): Series {
  if (!isSeries(value)) throw new Error("metric math: a time series should stand here");
  return value;
}
