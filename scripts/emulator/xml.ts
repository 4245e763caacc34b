import { XMLBuilder, XMLParser } from "fast-xml-parser";
import { isTree, type Tree, type Value } from "./tree";

const ATTRIBUTES = { ignoreAttributes: false, attributeNamePrefix: "@" };

/** Answers come from this machine and hold user data of any length: no limit on how many characters are escaped. */
const UNLIMITED = { enabled: true, maxTotalExpansions: Infinity, maxExpandedLength: Infinity };

const parser = new XMLParser({
  ...ATTRIBUTES,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  ignoreDeclaration: true,
  processEntities: UNLIMITED,
  htmlEntities: true,
});

const builder = new XMLBuilder({ ...ATTRIBUTES, suppressEmptyNode: true });

/** Reads an answer whose lists are elements named `listItem`, as in `<member>` or `<item>`. */
export function parseXml(xml: string, listItem: string): Tree {
  const lists = (value: Value): Value => {
    if (Array.isArray(value)) {
      return value.map(lists);
    }
    if (!isTree(value)) {
      return value;
    }
    const items = value[listItem];
    if (items !== undefined) {
      return (Array.isArray(items) ? items : [items]).map(lists);
    }
    return Object.fromEntries(Object.entries(value).map(([name, child]) => [name, lists(child)]));
  };
  return lists(parser.parse(xml)) as Tree;
}

/** Writes what {@link parseXml} reads. */
export function buildXml(tree: Tree, listItem: string): string {
  const elements = (value: Value): Value => {
    if (Array.isArray(value)) {
      return value.length === 0 ? "" : { [listItem]: value.map(elements) };
    }
    return isTree(value)
      ? Object.fromEntries(Object.entries(value).map(([name, child]) => [name, elements(child)]))
      : value;
  };
  return builder.build(elements(tree));
}
