/** What an AWS answer is made of; numbers and booleans come from JSON only, XML gives their text. */
export type AwsValue = string | number | boolean | null | readonly AwsValue[] | AwsRecord;
export interface AwsRecord {
  readonly [name: string]: AwsValue | undefined;
}

const TAG_OR_TEXT = /<(\/?)([\w.:-]+)[^<>]*?(\/?)>|[^<]+/g;
const ENTITY = /&(?:#x([\da-f]+)|#(\d+)|(amp|lt|gt|quot|apos));/gi;
const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** An element that is still open: its text, and its children in order. */
interface Open {
  text: string;
  readonly children: [name: string, value: AwsValue][];
}

/**
 * The content of an AWS XML answer's root element. An element with children becomes a record, one whose children are `item`
 * or `member` becomes a list, any other its text; so an empty list reads as "": take lists through {@link listOf}.
 */
export function parseXml(text: string): AwsRecord {
  const open: Open[] = [{ text: "", children: [] }];
  for (const [token, closing, name = "", selfClosing] of text.matchAll(TAG_OR_TEXT)) {
    const parent = open[open.length - 1] as Open;
    if (closing) {
      open.pop();
      open[open.length - 1]?.children.push([name, contentOf(parent)]);
    } else if (selfClosing) parent.children.push([name, ""]);
    else if (name) open.push({ text: "", children: [] });
    else parent.text += token;
  }
  const root = open[0]?.children[0]?.[1];
  return isRecord(root) ? root : {};
}

/** The entries of a list that may be absent or empty. */
export function listOf(value: AwsValue | undefined): readonly AwsRecord[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function contentOf({ text, children }: Open): AwsValue {
  if (children.length === 0) {
    return text.replace(ENTITY, (_, hex, decimal, name) =>
      name ? (NAMED[name] ?? "") : String.fromCodePoint(hex ? Number.parseInt(hex, 16) : Number(decimal)),
    );
  }
  if (children.every(([name]) => name === "item" || name === "member")) return children.map(([, value]) => value);
  return Object.fromEntries(children);
}

function isRecord(value: AwsValue | undefined): value is AwsRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
