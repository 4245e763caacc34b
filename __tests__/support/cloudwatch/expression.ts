/**
 * The grammar of CloudWatch metric math, as far as alarms use it: numbers, ids, function calls, arrays, arithmetic, comparison
 * and logic.
 *
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
 */
export type Expression =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "id"; readonly name: string }
  | { readonly kind: "keyword"; readonly name: "REPEAT" | "LINEAR" }
  | { readonly kind: "array"; readonly items: readonly Expression[] }
  | { readonly kind: "negate"; readonly operand: Expression }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: "binary"; readonly operator: Operator; readonly left: Expression; readonly right: Expression };

export type Operator = "OR" | "AND" | "==" | "!=" | "<=" | ">=" | "<" | ">" | "+" | "-" | "*" | "/" | "^";

/** Binds tighter the higher it is. */
const PRECEDENCE: Readonly<Record<Operator, number>> = {
  OR: 1,
  AND: 2,
  "==": 3,
  "!=": 3,
  "<=": 3,
  ">=": 3,
  "<": 3,
  ">": 3,
  "+": 4,
  "-": 4,
  "*": 5,
  "/": 5,
  "^": 7,
};
const NEGATION = 6;

const SPELLINGS: Readonly<Record<string, Operator>> = { "&&": "AND", "||": "OR" };
const TOKEN = /\s*(?:(\d+(?:\.\d+)?)|([A-Za-z_][A-Za-z0-9_]*)|(==|!=|<=|>=|&&|\|\||[-+*/^<>()[\],]))/y;

/** Parses an expression; an error names what is unexpected and the text. */
export function parseExpression(text: string): Expression {
  const tokens = tokenize(text);
  let next = 0;

  const fail = (found: string | undefined): never => {
    throw new Error(`metric math: unexpected ${found ?? "end"} in ${text}`);
  };
  const take = (expected: string) => {
    if (tokens[next] !== expected) fail(tokens[next]);
    next += 1;
  };
  const list = (close: string): Expression[] => {
    const items = [expression(0)];
    while (tokens[next] === ",") {
      next += 1;
      items.push(expression(0));
    }
    take(close);
    return items;
  };
  const operand = (): Expression => {
    const token = tokens[next];
    next += 1;
    if (token === undefined) return fail(token);
    if (token === "-") return { kind: "negate", operand: expression(NEGATION) };
    if (token === "(") {
      const inner = expression(0);
      take(")");
      return inner;
    }
    if (token === "[") return { kind: "array", items: list("]") };
    if (/^\d/.test(token)) return { kind: "number", value: Number(token) };
    if (token === "REPEAT" || token === "LINEAR") return { kind: "keyword", name: token };
    if (/^[a-z]/.test(token)) return { kind: "id", name: token };
    if (!/^[A-Z]/.test(token) || tokens[next] !== "(") return fail(token);
    next += 1;
    return { kind: "call", name: token, args: list(")") };
  };
  const expression = (floor: number): Expression => {
    let left = operand();
    for (;;) {
      const token = tokens[next];
      const operator = token === undefined ? undefined : (SPELLINGS[token] ?? token);
      if (operator === undefined || !isOperator(operator) || PRECEDENCE[operator] <= floor) return left;
      next += 1;
      left = { kind: "binary", operator, left, right: expression(PRECEDENCE[operator]) };
    }
  };

  const parsed = expression(0);
  return next === tokens.length ? parsed : fail(tokens[next]);
}

/** The metric and expression ids that an expression names. */
export function idsOf(expression: Expression): string[] {
  switch (expression.kind) {
    case "id":
      return [expression.name];
    case "array":
      return expression.items.flatMap(idsOf);
    case "call":
      return expression.args.flatMap(idsOf);
    case "negate":
      return idsOf(expression.operand);
    case "binary":
      return [...idsOf(expression.left), ...idsOf(expression.right)];
    default:
      return [];
  }
}

function isOperator(text: string): text is Operator {
  return Object.hasOwn(PRECEDENCE, text);
}

function tokenize(text: string): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (text.slice(TOKEN.lastIndex).trim() !== "") {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw new Error(`metric math: cannot read "${text.slice(at)}" of ${text}`);
    tokens.push(match[0].trim());
  }
  return tokens;
}
