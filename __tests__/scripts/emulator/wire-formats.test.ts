import fc from "fast-check";
import { buildQuery, parseQuery } from "../../../scripts/emulator/query";
import { buildXml, parseXml } from "../../../scripts/emulator/xml";

const name = fc.stringMatching(/^[A-Z][A-Za-z]{0,8}$/);
/** Line ends aside, which XML has but one of. */
const text = fc.string({ unit: "grapheme-ascii", minLength: 1 });
const leaves = fc.dictionary(name, text, { minKeys: 1, maxKeys: 3, noNullPrototype: true });
const tree = fc.dictionary(
  name,
  fc.oneof(text, leaves, fc.array(fc.oneof(text, leaves), { minLength: 1, maxLength: 3 })),
  {
    minKeys: 1,
    maxKeys: 4,
    noNullPrototype: true,
  },
);

test.each(["member", undefined])("query parameters with lists of %s survive being read and written", (listItem) => {
  fc.assert(
    fc.property(tree, (parameters) =>
      expect(parseQuery(buildQuery(parameters as never, listItem))).toEqual(parameters),
    ),
  );
});

test.each(["member", "item"])("XML with lists of <%s> survives being read and written", (listItem) => {
  fc.assert(
    fc.property(tree, (answer) => {
      const document = { Response: { "@xmlns": "http://ec2.amazonaws.com/doc/2016-11-15", ...(answer as object) } };
      expect(parseXml(buildXml(document as never, listItem), listItem)).toEqual(document);
    }),
  );
});

test("lists stay in the order of their numbers, the tenth after the ninth", () => {
  const tags = Array.from({ length: 12 }, (_, index) => `Tags.member.${index + 1}=${index}`);

  expect(parseQuery(tags.join("&"))).toEqual({ Tags: tags.map((_, index) => String(index)) });
});

test("an answer may hold any number of escaped characters, and a number stays as it was written", () => {
  expect(parseXml(`<A><b>${"&quot;".repeat(5_000)}</b><c>01.50</c><d>  </d></A>`, "item")).toEqual({
    A: { b: '"'.repeat(5_000), c: "01.50", d: "  " },
  });
});
