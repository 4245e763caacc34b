import { existsSync } from "node:fs";
import { join } from "node:path";
import { readDeployments } from "../../stacks/deployments";
import { synthesize } from "../../stacks/synthesize";
import { QUEUE_KIND } from "../fixtures/queue-kind";
import { contentsOf, useScratch } from "../support/scratch";

const scratch = useScratch();
const HEAD = "kind: queue\nname: orders\naws: { region: us-west-2 }\n";

const read = (...texts: string[]) =>
  readDeployments(
    texts.map((text, i) => scratch.write(`${i}.yaml`, text)),
    [QUEUE_KIND],
  );

/** What reading, or else synthesizing, objects to, with file names relative to the test's directory. */
function problems(...texts: string[]): string[] {
  const outdir = join(scratch.path, "out");
  try {
    synthesize(read(...texts), outdir);
  } catch (error) {
    expect(existsSync(outdir)).toBe(false);
    return (error as Error).message.replaceAll(`${scratch.path}/`, "").split("\n");
  }
  throw new Error("nothing was objected to");
}

test("each document of a file becomes a stack of its own", () => {
  const text = `${HEAD}queues: { docs: {} }\n---\n${HEAD.replace("orders", "mail")}queues: { mail: { delay_seconds: 9 } }\n`;

  const stacks = synthesize(read(text), join(scratch.path, "out"));

  expect(stacks).toEqual([
    { name: "orders", path: "stacks/orders/cdk.tf.json", warnings: [] },
    { name: "mail", path: "stacks/mail/cdk.tf.json", warnings: [] },
  ]);
  const mail = JSON.parse(contentsOf(join(scratch.path, "out"))["stacks/mail/cdk.tf.json"] ?? "");
  expect(mail.resource.aws_sqs_queue.mail).toMatchObject({ name: "mail-mail", delay_seconds: 9 });
});

test("anchors, aliases and merge keys say the same as their text", () => {
  const text = `${HEAD}queues:
  docs: &slow { delay_seconds: 9, mode: fifo }
  mail: *slow
  logs: { <<: *slow, mode: standard }
`;

  expect(read(text)[0]?.keys.queues).toEqual({
    docs: { delay_seconds: 9, mode: "fifo" },
    mail: { delay_seconds: 9, mode: "fifo" },
    logs: { delay_seconds: 9, mode: "standard" },
  });
});

test("what constructs warn of is passed on", () => {
  const stacks = synthesize(read(`${HEAD}queues: {}\nrisky: true\n`), join(scratch.path, "out"));

  expect(stacks[0]?.warnings).toEqual(["orders: this is risky"]);
});

test.each<[string, string, string[]]>([
  ["an empty file", "", ["0.yaml:1:1: no deployment in this file; describe one with the keys kind, name and aws"]],
  [
    "only a comment",
    "# later\n",
    ["0.yaml:1:1: no deployment in this file; describe one with the keys kind, name and aws"],
  ],
  [
    "an empty document",
    `---\n---\n${HEAD}queues: {}\n`,
    ["0.yaml:1:4: document is empty; describe a deployment or remove its ---"],
  ],
  ["a list", "- kind: queue\n", ["0.yaml:1:1: document: expected a map with the keys kind, name and aws"]],
  ["a key twice", `${HEAD}queues: {}\nname: b\n`, ["0.yaml:5:1: not YAML: Map keys must be unique"]],
  ["a tab", "kind:\n\tname: x\n", ["0.yaml:2:1: not YAML: Tabs are not allowed as indentation"]],
  ["an unknown tag", `${HEAD}queues: !secret x\n`, ["0.yaml:4:9: not YAML: Unresolved tag: !secret"]],
  [
    "an alias of nothing",
    `${HEAD}queues: *gone\n`,
    ["0.yaml:1:1: not YAML: Unresolved alias (the anchor must be set before the alias): gone"],
  ],
  ["no kind", "name: a\n", ["0.yaml:1:1: kind: missing; expected queue"]],
  ["a kind almost right", "kind: queues\n", ['0.yaml:1:7: kind: got "queues"; expected queue; did you mean queue?']],
  [
    "a kind of another sort",
    "kind: [queue]\n",
    ['0.yaml:1:7: kind: got ["queue"]; expected queue; did you mean queue?'],
  ],
  [
    "a missing key",
    "kind: queue\nname: a\nqueues: {}\n",
    ["0.yaml:1:1: aws: missing; expected a map with the keys region, allowed_account_ids, assume_role, default_tags"],
  ],
  ["a misspelt key", `${HEAD}queues: {}\nrisk: true\n`, ["0.yaml:5:1: risk: unknown key; did you mean risky?"]],
  [
    "an unknown key",
    `${HEAD}queues: { docs: { colour: red } }\n`,
    [
      "0.yaml:4:19: queues.docs.colour: unknown key; known are delay_seconds, mode, encrypted, ratio, readers, dead_letter, note",
    ],
  ],
  [
    "a wrong type",
    `${HEAD}queues: { docs: { delay_seconds: soon } }\n`,
    ['0.yaml:4:34: queues.docs.delay_seconds: got "soon"; expected a whole number from 0 to 900'],
  ],
  [
    "a fraction",
    `${HEAD}queues: { docs: { delay_seconds: 1.5 } }\n`,
    ["0.yaml:4:34: queues.docs.delay_seconds: got 1.5; expected a whole number from 0 to 900"],
  ],
  [
    "a bound",
    `${HEAD}queues: { docs: { ratio: 2 } }\n`,
    ["0.yaml:4:26: queues.docs.ratio: got 2; expected a number of at most 1"],
  ],
  [
    "yes for true",
    `${HEAD}queues: { docs: { encrypted: yes } }\n`,
    ['0.yaml:4:30: queues.docs.encrypted: got "yes"; expected true or false'],
  ],
  [
    "a closed set",
    `${HEAD}queues: { docs: { mode: fiifo } }\n`,
    ['0.yaml:4:25: queues.docs.mode: got "fiifo"; expected one of standard, fifo; did you mean fifo?'],
  ],
  [
    "a CIDR",
    `${HEAD}queues: { docs: { readers: [10.0.0.0/40] } }\n`,
    ['0.yaml:4:29: queues.docs.readers[0]: got "10.0.0.0/40"; expected an IPv4 address range such as 10.0.0.0/16'],
  ],
  [
    "an empty list",
    `${HEAD}queues: { docs: { readers: [] } }\n`,
    [
      "0.yaml:4:28: queues.docs.readers: got a list; expected a list of 1 to 3: an IPv4 address range such as 10.0.0.0/16",
    ],
  ],
  [
    "a map for a list",
    `${HEAD}queues: { docs: { readers: { a: 1 } } }\n`,
    [
      "0.yaml:4:28: queues.docs.readers: got a map; expected a list of 1 to 3: an IPv4 address range such as 10.0.0.0/16",
    ],
  ],
  [
    "a key of a map",
    `${HEAD}queues: { Docs: {} }\n`,
    ["0.yaml:4:11: queues.Docs: the key must be text matching ^[a-z]+$"],
  ],
  [
    "an alternative",
    `${HEAD}queues: { docs: { dead_letter: { after: 0 } } }\n`,
    ["0.yaml:4:41: queues.docs.dead_letter.after: got 0; expected a whole number of at least 1"],
  ],
  [
    "no alternative",
    `${HEAD}queues: { docs: { dead_letter: 7 } }\n`,
    ["0.yaml:4:32: queues.docs.dead_letter: got 7; expected none, or a map with the keys after"],
  ],
  [
    "a nullable text",
    `${HEAD}queues: { docs: { note: x } }\n`,
    ['0.yaml:4:25: queues.docs.note: got "x"; expected text from 2 to 10 characters or null'],
  ],
  [
    "a rule of the schema",
    `${HEAD}queues: { a: {}, b: {}, c: {}, d: {} }\n`,
    ["0.yaml:4:9: queues: got a map; should have fewer than 4 queues"],
  ],
  [
    "behind an alias",
    `${HEAD}queues: { a: &x { mode: no }, b: *x }\n`,
    [
      '0.yaml:4:25: queues.a.mode: got "no"; expected one of standard, fifo',
      '0.yaml:4:25: queues.b.mode: got "no"; expected one of standard, fifo',
    ],
  ],
  [
    "a rule of the constructs",
    `${HEAD}queues: {}\nforbidden: true\n`,
    ["0.yaml:1:1: orders: forbidden should not be set"],
  ],
  ["a rule of the tree", `${HEAD}queues: {}\nlate: true\n`, ["0.yaml:1:1: orders: the tree has a rotten branch"]],
])("%s is refused", (_what, text, expected) => {
  expect(problems(text)).toEqual(expected);
});

test("all problems of all documents are reported at once, in the order of the files", () => {
  const first = `${HEAD}queues: {}\nrisk: 1\n---\n${HEAD.replace("orders", "Mail")}queues: 7\n`;
  const second = "kind: queue\n";

  expect(problems(first, second)).toEqual([
    "0.yaml:5:1: risk: unknown key; did you mean risky?",
    '0.yaml:8:7: name: got "Mail"; expected text matching ^[a-z][a-z0-9-]{0,62}$',
    "0.yaml:10:9: queues: got 7; expected a map whose values are a map with the keys delay_seconds, mode, encrypted, ratio, readers, dead_letter, note",
    "1.yaml:1:1: queues: missing; expected a map whose values are a map with the keys delay_seconds, mode, encrypted, ratio, readers, dead_letter, note",
    "1.yaml:1:1: name: missing; expected text matching ^[a-z][a-z0-9-]{0,62}$",
    "1.yaml:1:1: aws: missing; expected a map with the keys region, allowed_account_ids, assume_role, default_tags",
  ]);
});

test("two deployments of one name are refused, wherever they stand", () => {
  const text = `${HEAD}queues: {}\n`;

  expect(problems(text, text)).toEqual([
    '1.yaml:2:7: name: got "orders"; 0.yaml:2 already has a deployment of that name',
  ]);
});

describe("a state in S3", () => {
  const kept = (name: string, bucket: string, key: string) =>
    `${HEAD.replace("orders", name)}queues: {}\nbackend: { bucket: ${bucket}, key: ${key}, region: us-west-2 }\n`;

  test("that two deployments share is refused: the second would destroy what the first has made", () => {
    expect(problems(kept("orders", "acme", "state"), kept("mail", "acme", "state"))).toEqual([
      '1.yaml:5:31: backend.key: got "state"; 0.yaml:5 keeps the state of orders there, which an apply of mail would destroy: give it a key of its own',
    ]);
  });

  test("is a deployment's own in another bucket, or under another key", () => {
    const apart = [kept("orders", "acme", "state"), kept("mail", "acme", "mail"), kept("logs", "other", "state")];

    expect(read(...apart)).toHaveLength(3);
  });
});

test("a file that does not exist is named with the others", () => {
  expect(() => readDeployments([join(scratch.path, "gone.yaml")], [QUEUE_KIND])).toThrow(
    "gone.yaml:1:1: there is no such file",
  );
});
