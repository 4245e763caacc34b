import { gzipSync } from "node:zlib";
import { buildSync } from "esbuild";
import type * as z from "zod";
import { type AnswerName, checkAnswer } from "../../../control-plane/protocol";
import { MESSAGES, Refusal } from "../../../control-plane/protocol/schemas";
import { seededRandom } from "../../../scripts/seeded-random";
import { interestingValues, mutate } from "./mutate";
import { SAMPLE_ANSWERS } from "./sample-answers";

const schemaOf = (name: AnswerName): z.ZodType => (name === "refusal" ? Refusal : MESSAGES[name].response);
const names = Object.keys(SAMPLE_ANSWERS) as AnswerName[];

function accepts(name: AnswerName, value: unknown): boolean {
  try {
    checkAnswer(name, value);
    return true;
  } catch {
    return false;
  }
}

describe("control-plane 28: the agent's share of the protocol is small and equal to the server's", () => {
  it("control-plane 28: costs the agent at most 1,024 bytes, gzipped", () => {
    const bundle = buildSync({
      stdin: {
        contents: `
          import { checkAnswer, PROTOCOL_VERSION, WORKER_PATH } from "./control-plane/protocol";
          agent(checkAnswer, PROTOCOL_VERSION, WORKER_PATH);
        `,
        resolveDir: process.cwd(),
      },
      bundle: true,
      minify: true,
      format: "esm",
      platform: "node",
      target: "node20",
      write: false,
    });

    expect(gzipSync(bundle.outputFiles[0]?.contents ?? "", { level: 9 }).length).toBeLessThanOrEqual(1024);
  });

  it.each(names)("accepts what the server sends: %s", (name) => {
    for (const sample of SAMPLE_ANSWERS[name]) {
      expect(schemaOf(name).parse(sample)).toEqual(sample);
      expect(checkAnswer(name, sample)).toBe(sample);
    }
  });

  it("control-plane 28: agrees with zod on 100,000 mutated answers", () => {
    const random = seededRandom(28);
    const checked = names.filter((name) => Object.keys(SAMPLE_ANSWERS[name][0] as object).length > 0);
    const verdicts: Record<string, { accepted: number; refused: number }> = {};
    for (const name of checked) {
      const schema = schemaOf(name);
      const values = interestingValues(schema);
      const counts = { accepted: 0, refused: 0 };
      for (let round = 0; round < 100_000 / checked.length; round++) {
        const samples = SAMPLE_ANSWERS[name];
        const answer = mutate(samples[round % samples.length] as never, values, random);

        const accepted = accepts(name, answer);

        if (accepted !== schema.safeParse(answer).success) {
          throw new Error(
            `checker ${accepted ? "accepts" : "refuses"}, zod does not: ${name} ${JSON.stringify(answer)}`,
          );
        }
        counts[accepted ? "accepted" : "refused"] += 1;
      }
      verdicts[name] = counts;
    }

    for (const counts of Object.values(verdicts)) {
      expect(counts.accepted).toBeGreaterThan(500);
      expect(counts.refused).toBeGreaterThan(500);
    }
  }, 60_000);

  it("names the part that is wrong", () => {
    const answer = JSON.parse(JSON.stringify(SAMPLE_ANSWERS.claim[0]));
    answer.grants[0].spec.source.url = 5;

    expect(() => checkAnswer("claim", answer)).toThrow("unexpected answer: claim.grants.0.spec.source.url");
  });
});
