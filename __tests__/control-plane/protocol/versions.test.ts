import * as z from "zod";
import { type AnswerName, checkAnswer, type MessageName } from "../../../control-plane/protocol";
import { MESSAGES } from "../../../control-plane/protocol/schemas";
import { type Messages, sampleMessages } from "../api/sample-requests";
import { SAMPLE_ANSWERS } from "./sample-answers";

const ID = "0b8f0c3e-6f1d-4a57-9d0e-2f1f4a3c5b6d";
const subjects = { sessionId: ID, jobId: ID, testId: ID, upgradeId: ID, datasourceId: ID, workerId: "i-1", fence: 7 };
const MESSAGE_NAMES = Object.keys(MESSAGES) as MessageName[];

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Shape = z.core.JSONSchema.BaseSchema;

/** A copy in which every object, also those within, has become another. */
function mapObjects(value: Json, of: (object: Record<string, Json>, path: string) => Json, path = ""): Json {
  if (Array.isArray(value)) return value.map((item) => mapObjects(item, of, `${path}[]`));
  if (!value || typeof value !== "object") return value;
  const mapped = Object.entries(value).map(([key, inner]) => [key, mapObjects(inner, of, `${path}.${key}`)]);
  return of(Object.fromEntries(mapped), path);
}

/** Records by free names; what a newer version adds there is a label or an option like any other. */
const FREE = /\.(labels|options)$/;
const ADDED = { unheardOf: { of: ["a later", 1, null] } };

/** What the next version may say: more, in every object. */
const newer = (value: Json): Json =>
  mapObjects(value, (object, path) => (FREE.test(path) ? object : { ...object, ...ADDED }));

/** What the version before says: nothing that a schema does not ask for. */
function older(value: Json, shape: Shape): Json {
  const { properties = {}, required = [], items, anyOf, oneOf } = shape;
  const choices = (anyOf ?? oneOf) as Shape[] | undefined;
  if (choices) return older(value, choices.find((choice) => fits(value, choice)) ?? {});
  if (Array.isArray(value)) return value.map((item) => older(item, (items ?? {}) as Shape));
  if (!value || typeof value !== "object" || Object.keys(properties).length === 0) return value;
  const kept = Object.entries(value).filter(([key]) => required.includes(key));
  return Object.fromEntries(kept.map(([key, inner]) => [key, older(inner, properties[key] as Shape)]));
}

function fits(value: Json, { properties, type }: Shape): boolean {
  if (value === null) return type === "null";
  const { const: kind } = (properties?.["kind"] ?? {}) as { const?: Json };
  return kind === undefined ? type !== "null" : (value as { kind?: Json }).kind === kind;
}

/** Every message from an agent of the version before, of this one and of the next, as the server reads it. */
describe("control-plane 28: the server works with agents that are a version behind or ahead", () => {
  const messages: Messages = sampleMessages(subjects);

  describe.each(MESSAGE_NAMES)("%s", (name) => {
    const { request } = MESSAGES[name];
    const message = messages[name] as Json;
    const parsed = (value: Json): unknown => request.parse(JSON.parse(JSON.stringify(value)));

    it("control-plane 28: of an agent of the same version is read whole", () => {
      expect(parsed(message)).toEqual(message);
    });

    it("control-plane 28: of a newer agent is read without what it adds", () => {
      const ahead = newer(message);
      expect(ahead).not.toEqual(message);
      expect(parsed(ahead)).toEqual(message);
    });

    it("control-plane 28: of an older agent, without anything that may be left out, is read", () => {
      const behind = older(message, z.toJSONSchema(request, { io: "input" }) as Shape);
      expect(parsed(behind)).toEqual(behind);
    });
  });

  it("control-plane 28: these are the parts that an older agent leaves out: one more needs a reader that does without it", () => {
    const parts = (value: Json): Set<string> => {
      const found = new Set<string>();
      mapObjects(value, (object, path) => {
        for (const key of Object.keys(object)) found.add(`${path}.${key}`.slice(1));
        return object;
      });
      return found;
    };
    const left = MESSAGE_NAMES.flatMap((name) => {
      const message = messages[name] as Json;
      const kept = parts(older(message, z.toJSONSchema(MESSAGES[name].request, { io: "input" }) as Shape));
      return [...parts(message)].filter((part) => !kept.has(part)).map((part) => `${name}.${part}`);
    });
    expect(left.sort()).toEqual([
      "heartbeat.running[].detail",
      "heartbeat.upgrade",
      "heartbeat.upgrade.campaignId",
      "heartbeat.upgrade.detail",
      "heartbeat.upgrade.state",
      "progress.gapPossible",
      "progress.gapPossible.lastConfirmed",
      "release.jobs[].checkpoint",
      "release.jobs[].checkpoint.phase",
      "release.jobs[].checkpoint.position",
      "release.jobs[].checkpoint.seq",
      "report.checkpoint",
      "report.checkpoint.phase",
      "report.checkpoint.position",
      "report.checkpoint.seq",
      "report.cleaned",
      "report.error",
      "report.exitCode",
    ]);
  });
});

/** Every answer of a server of the version before, of this one and of the next, as the agent's checker reads it. */
describe("control-plane 28: the agent works with servers that are a version behind or ahead", () => {
  const names = Object.keys(SAMPLE_ANSWERS) as AnswerName[];

  it.each(names)("control-plane 28: takes what a newer server adds to its answer: %s", (name) => {
    for (const answer of SAMPLE_ANSWERS[name] as readonly Json[]) {
      const ahead = newer(answer);
      expect(checkAnswer(name, ahead)).toBe(ahead);
    }
  });

  it.each(names)(
    "control-plane 28: asks nothing of an answer that a server of the same version may leave out: %s",
    (name) => {
      if (name === "refusal") return;
      const shape = z.toJSONSchema(MESSAGES[name].response, { io: "input" }) as Shape;
      for (const answer of SAMPLE_ANSWERS[name] as readonly Json[]) {
        expect(() => checkAnswer(name, older(answer, shape))).not.toThrow();
      }
    },
  );

  it.each(["heartbeat", "claim"] as const)(
    "control-plane 28: refuses a kind of action that it does not understand, which is why none is sent to it that it does not list: %s",
    (name) => {
      const [answer] = SAMPLE_ANSWERS[name] as readonly { actions: readonly object[] }[];
      const ahead = { ...answer, actions: [{ kind: "self_destruct", jobId: ID }] };
      expect(() => checkAnswer(name, ahead)).toThrow(`unexpected answer: ${name}.actions.0.kind`);
    },
  );
});
