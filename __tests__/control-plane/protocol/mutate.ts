import * as z from "zod";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Values at and just past each bound a schema states, beside the usual troublemakers. */
export function interestingValues(schema: z.ZodType): Json[] {
  const values: Json[] = [
    null,
    true,
    false,
    0,
    -1,
    1,
    0.5,
    2 ** 53,
    -(2 ** 53),
    "",
    "x",
    "toString",
    [],
    {},
    [null],
    { a: 1 },
  ];
  const visit = (node: unknown): void => {
    if (!node || typeof node !== "object") return;
    for (const [key, value] of Object.entries(node)) {
      if (typeof value === "number" && /imum$/.test(key)) values.push(value - 1, value, value + 1, value + 0.5);
      if (typeof value === "number" && /^m..Length$/.test(key)) {
        for (const length of [value - 1, value, value + 1]) values.push("é".repeat(Math.max(0, length)));
      }
      if (key === "enum" || key === "const") values.push(...[value].flat());
      visit(value);
    }
  };
  visit(z.toJSONSchema(schema));
  return values;
}

/** A copy of a JSON value in which one to three places were replaced, removed, added or repeated. */
export function mutate(original: Json, values: readonly Json[], random: () => number): Json {
  const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)];
  const holder = { root: JSON.parse(JSON.stringify(original)) as Json };
  const rounds = 1 + Math.floor(random() * 3);
  for (let round = 0; round < rounds; round++) {
    const places = containers(holder);
    const container = pick(places) as Record<string, Json>;
    const key = pick(Object.keys(container));
    if (key === undefined) continue;
    const roll = random();
    if (roll < 0.6 || container === holder) container[key] = structuredClone(pick(values) as Json);
    else if (roll < 0.75) remove(container, key);
    else if (Array.isArray(container)) resize(container, random);
    else container[pick(["unheardOf", "kind", "constructor"]) as string] = structuredClone(pick(values) as Json);
  }
  return holder.root;
}

function containers(value: Json): Json[] {
  if (!value || typeof value !== "object") return [];
  return [value, ...Object.values(value).flatMap(containers)];
}

function remove(container: Record<string, Json>, key: string): void {
  if (Array.isArray(container)) container.splice(Number(key), 1);
  else delete container[key];
}

/** Lists are bounded at 200, 400 and 10,000 entries. */
function resize(container: Json[], random: () => number): void {
  const length = [2, 200, 201, 400, 401][Math.floor(random() * 5)] as number;
  const item = container[0];
  if (item === undefined || JSON.stringify(item).length * length > 100_000) return;
  while (container.length < length) container.push(item);
}
