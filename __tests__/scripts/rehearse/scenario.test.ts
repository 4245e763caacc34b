import { parseEvent } from "../../../scripts/rehearse/scenario/event";
import { DEFAULT_SCENARIO, parseScenario, readScenario } from "../../../scripts/rehearse/scenario/scenario";
import { WrongUse } from "../../../scripts/rehearse/wrong-use";

const refusal = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (error instanceof WrongUse) return `${error.message} | ${error.next}`;
    throw error;
  }
  throw new Error("it was accepted");
};

describe("an event", () => {
  test.each([
    ["lose 01", { name: "lose", node: "01", forMs: undefined }],
    ["  roll ", { name: "roll", node: undefined, forMs: undefined }],
    ["slow-boot 02 for 45s", { name: "slow-boot", node: "02", forMs: 45_000 }],
    ["partition any", { name: "partition", node: "any", forMs: 20_000 }],
    ["wait for 2m", { name: "wait", node: undefined, forMs: 120_000 }],
  ])("%s", (text, expected) => {
    expect(parseEvent(text, "--event")).toEqual({ ...expected, text: text.trim() });
  });

  test.each([
    ["loose 01", "there is no event loose | did you mean lose?"],
    ["explode", "there is no event explode | there are lose, roll, reboot"],
    ["", "there is no event without a name | there are lose"],
    ["lose", 'lose should name a node, or any | write lose NODE, such as "lose 01"'],
    ["slow-boot for 3s", "slow-boot should name a node before for"],
    ["roll 01", '"01" should not be there | write roll, such as "roll"'],
    ["lose 01 for 3s", '"for 3s" should not be there'],
    ["partition 01 for long", "for: give a number and s, m or h, e.g. 90s"],
  ])("%p is refused with what to write instead", (text, expected) => {
    expect(refusal(() => parseEvent(text, "--event"))).toContain(`--event: got "${text}"; ${expected}`);
  });
});

describe("a scenario", () => {
  test("that is not given loses one node, then rolls", () => {
    expect(DEFAULT_SCENARIO.events.map(({ text }) => text)).toEqual(["lose any", "roll"]);
  });

  test("has events, a deadline, settings of the rolling update as they were written, and a writer", () => {
    const text = [
      "events: [lose 01, roll]",
      "deadline: 3m",
      "roll: { checks: { tcp: 2379 }, successes: 2 }",
      "writer: { command: [etcdctl, put, a, b], read: [etcdctl, get, a] }",
    ].join("\n");
    expect(parseScenario(text, "s.yaml")).toMatchObject({
      events: [{ name: "lose", node: "01" }, { name: "roll" }],
      deadlineMs: 180_000,
      roll: { checks: { tcp: 2379 }, successes: 2 },
      writer: { command: ["etcdctl", "put", "a", "b"], everyMs: 200, read: ["etcdctl", "get", "a"] },
    });
  });

  test("is refused with every field that is wrong, and what it should be", () => {
    const text = "events: [loose 01, 3]\ndeadline: soon\nroll: { polls: 3 }\nwriters: 1\n";
    const message = refusal(() => parseScenario(text, "s.yaml"));
    expect(message).toContain('s.yaml: events[0]: got "loose 01"; there is no event loose; did you mean lose?');
    expect(message).toContain("s.yaml: events[1]: should be a string");
    expect(message).toContain("s.yaml: deadline: give a number and s, m or h");
    expect(message).toContain("s.yaml: roll: unknown key polls");
    expect(message).toContain("s.yaml: unknown key writers");
  });

  test("that is empty, is no YAML or is not there is refused", () => {
    expect(refusal(() => parseScenario("events: []", "s.yaml"))).toContain(
      "events: should have an event; there are lose",
    );
    expect(refusal(() => parseScenario("", "s.yaml"))).toContain("s.yaml: should be an object");
    expect(refusal(() => parseScenario("a: [", "s.yaml"))).toContain("write it as YAML");
    expect(refusal(() => readScenario("/nowhere/s.yaml"))).toContain("--scenario /nowhere/s.yaml: ENOENT");
  });
});
