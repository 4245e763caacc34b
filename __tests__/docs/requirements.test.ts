import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(__dirname, "../..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

const PAGE = read("docs/requirements.md");

/** What a text between quotes begins with: a number, several of one range or of two, or all from one to another. */
const CITATION = /(?<=["`])(?:R|control-plane )\d+(?:-\d+)?(?:(?:, | and )(?:R|control-plane )?\d+(?:-\d+)?)*\b/g;

/** Each number by its name, the prefix that only the first of a list has included. */
function numbersIn(source: string): Set<string> {
  const numbers = new Set<string>();
  for (const [citation] of source.matchAll(CITATION)) {
    let prefix = "";
    for (const [, own, first, last] of citation.matchAll(/(R|control-plane )?(\d+)(?:-(\d+))?/g)) {
      prefix = own ?? prefix;
      for (let number = Number(first); number <= Number(last ?? first); number++) numbers.add(`${prefix}${number}`);
    }
  }
  return numbers;
}

interface Row {
  readonly number: string;
  readonly promise: string;
  readonly shown: string;
  readonly files: readonly string[];
}

/** The ranges of the page, by their headings. */
const RANGES = new Map(
  PAGE.split("\n## ")
    .slice(1)
    .map((section) => {
      const rows = [...section.matchAll(/^\| ((?:R|control-plane )\d+) +\| ([^|]+) \| ([^|]+) \|$/gm)];
      return [
        section.split("\n")[0] ?? "",
        rows.map(([, number = "", promise = "", shown = ""]): Row => {
          return {
            number,
            promise,
            shown,
            files: Array.from(shown.matchAll(/`(__tests__\/[^`]+)`/g), ([, file = ""]) => file),
          };
        }),
      ];
    }),
);
const ROWS = [...RANGES.values()].flat();

test("every range of the page has each of its numbers once, in order", () => {
  expect(RANGES.size).toBeGreaterThan(3);
  for (const [heading, rows] of RANGES) {
    const [, prefix = "", first, last] = /: (R|control-plane )(\d+) to R?(\d+)$/.exec(heading) ?? [];
    const wanted = Array.from(
      { length: Number(last) - Number(first) + 1 },
      (_, index) => prefix + (Number(first) + index),
    );
    expect([heading, rows.map(({ number }) => number)]).toEqual([heading, wanted]);
  }
});

test("every number that a test's title begins with stands in the page with its file, once, and every file that stands there has the number", () => {
  const titled = readdirSync(join(ROOT, "__tests__"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => `__tests__/${path}`)
    .flatMap((file) => [...numbersIn(read(file))].map((number) => `${number} in ${file}`));

  expect(titled.length).toBeGreaterThan(250);
  expect(ROWS.flatMap(({ number, files }) => files.map((file) => `${number} in ${file}`)).sort()).toEqual(
    titled.sort(),
  );
  expect(ROWS.filter(({ files }) => files.length === 0)).toEqual([]);
});

test("the sizes that the page gives of short and long forms are those of the tests", () => {
  const sizes = (text: string) => text.replace(/[,_]/g, "");
  let given = 0;
  for (const { number, shown, files } of ROWS) {
    const forms = files.flatMap((file) =>
      Array.from(read(file).matchAll(/longForm\(([\d_]+), ([\d_]+)\)/g), ([, short = "", long = ""]) =>
        [short, long].map(sizes).join(" and "),
      ),
    );
    for (const [, short = "", long = ""] of shown.matchAll(/([\d,]+) in CI, ([\d,]+) in the long form/g)) {
      expect({ number, forms }).toEqual({
        number,
        forms: expect.arrayContaining([`${sizes(short)} and ${sizes(long)}`]),
      });
      given += 1;
    }
  }
  expect(given).toBeGreaterThan(15);
});

test("every command that the page names is there, and every bench of the control plane stands in it", () => {
  const { scripts } = JSON.parse(read("package.json"));
  const imported = [...read("scripts/bench.ts").matchAll(/from "\.\/(bench[\w-]*)\/([\w-]+)"/g)];
  const benches = imported.map(([, , name]) => name);
  const named = Array.from(PAGE.matchAll(/`npm run ([\w:-]+)(?: -- ([a-z][\w-]*))?/g), ([, script, name]) => [
    script,
    name,
  ]);

  expect(named.filter(([script = ""]) => !(script in scripts))).toEqual([]);
  const measured = named.flatMap(([script, name]) => (script === "bench" ? [name] : []));
  expect(measured.filter((name) => !benches.includes(name))).toEqual([]);
  const own = imported.flatMap(([, room, name]) => (room === "bench-control-plane" ? [name] : []));
  expect(measured).toEqual(expect.arrayContaining(own));
});

test("the figures of what the control plane does not keep are those that its document has", () => {
  const measured = new Set(read("docs/control-plane.md").match(/\d+(?:[.,]\d+)*/g));
  const missed = ROWS.filter(({ number }) => number.startsWith("control-plane")).flatMap(({ promise }) =>
    [...promise.matchAll(/\*\*([^*]+)\*\*/g)].flatMap(([, bold = ""]) => bold.match(/\d+(?:\.\d+)?/g) ?? []),
  );

  expect(missed).toContain("0.36");
  expect(missed.filter((figure) => !measured.has(figure))).toEqual([]);
});
