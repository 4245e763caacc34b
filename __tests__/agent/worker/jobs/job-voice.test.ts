import { randomUUID } from "node:crypto";
import type { JobSource } from "../../../../agent/worker/jobs/job-source";
import { JobVoice } from "../../../../agent/worker/jobs/job-voice";
import { isHeld, type Job, type JobEvent, transition } from "../../../../control-plane/lease/job";
import type { Checkpoint } from "../../../../control-plane/protocol";
import { seededRandom } from "../../../../scripts/seeded-random";

jest.setTimeout(180_000);

const ORDERS = 10_000;
const SEED = 20_261_121;
const HOLDER = { session: "s", fence: 3 };
const HELD: Job = {
  state: "running",
  desired: "run",
  fence: 3,
  session: "s",
  reported: null,
  failures: 0,
  maxRetries: 10,
  onDisconnect: "stop",
};

const silently = () => {};

type Said = "progress" | "report" | "release";
const isTerminal = (said: Said | undefined) => said === "report" || said === "release";

/** A source that answers after some turns of the event loop, in one of the ways that it may. */
function slowSource(random: () => number, said: Said[]): JobSource {
  const take =
    <Answer>(word: Said, answer: Answer) =>
    async (): Promise<Answer | "fenced" | undefined> => {
      said.push(word);
      for (let turns = Math.floor(random() * 4); turns > 0; turns--) await Promise.resolve();
      return random() < 0.1 ? "fenced" : random() < 0.1 ? undefined : answer;
    };
  return {
    claim: async () => [],
    started: async () => "taken",
    progress: take("progress", 1),
    report: take("report", "taken" as const),
    release: take("release", "taken" as const),
  };
}

test(`R25: nothing is said of a job after its last word, and nothing more is accepted, in ${ORDERS} random orders (seed ${SEED})`, async () => {
  const random = seededRandom(SEED);
  for (let order = 0; order < ORDERS; order++) {
    // GIVEN everything that may happen to a job at its end, in some order
    const said: Said[] = [];
    const voice = new JobVoice({ jobId: randomUUID(), fence: 3 }, slowSource(random, said), silently, silently);
    const endings: Promise<void>[] = [];
    for (let events = 1 + Math.floor(random() * 8); events > 0; events--) {
      const event = random();
      if (event < 0.6) voice.progress({ seq: events, phase: "streaming", position: "0/1" });
      else if (event < 0.75) {
        endings.push(voice.end({ kind: "report", report: { outcome: "failed", logTail: [] } }));
      } else if (event < 0.9) endings.push(voice.end({ kind: "release", reason: "drain" }));
      else voice.silence();
      if (random() < 0.5) await Promise.resolve();
    }
    await Promise.all(endings);
    for (let turns = 0; turns < 40; turns++) await Promise.resolve();

    // THEN the last word is the last
    const end = said.findIndex(isTerminal);
    expect(said.slice(end < 0 ? said.length : end + 1)).toEqual([]);

    // AND whatever a network repeats and reorders, what was accepted as the end stays the end
    const repeated = said.flatMap((word) => (random() < 0.5 ? [word, word] : [word])).sort(() => random() - 0.5);
    let job: Job = HELD;
    for (const word of repeated) {
      const was = job;
      const next = transition(job, eventOf(word));
      if (typeof next !== "string") job = next;
      if (!isHeld(was)) expect(job).toEqual(was);
    }
  }
});

describe("while nobody hears it", () => {
  const REF = { jobId: randomUUID(), fence: 3 };
  const checkpoint = (seq: number): Checkpoint => ({ seq, phase: "streaming", position: `0/${seq}` });

  /** A source that answers to the first word only when it is told to, and to the others at once. */
  function deafSource() {
    const heard: { kind: Said; seq?: number; gapAfter?: string }[] = [];
    let answer = () => {};
    const silence = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const source: JobSource = {
      claim: async () => [],
      started: async () => "taken",
      progress: async (_, { seq }, gapAfter) => {
        heard.push({ kind: "progress", seq, ...(gapAfter === undefined ? {} : { gapAfter }) });
        await silence;
        return seq;
      },
      report: async () => {
        heard.push({ kind: "report" });
        return "taken";
      },
      release: async () => "taken",
    };
    return { heard, answer, voice: new JobVoice(REF, source, silently, silently) };
  }

  const settled = () => new Promise((resolve) => setImmediate(resolve));

  test("a job's checkpoints do not queue up: the newest is what is said next", async () => {
    const { heard, answer, voice } = deafSource();
    for (let seq = 1; seq <= 3_000; seq++) voice.progress(checkpoint(seq));
    await settled();
    for (let seq = 3_001; seq <= 6_000; seq++) voice.progress(checkpoint(seq));

    answer();
    await settled();

    expect(heard).toEqual([
      { kind: "progress", seq: 3_000 },
      { kind: "progress", seq: 6_000 },
    ]);
  });

  test("a possible gap is told with the checkpoint that took its own's place", async () => {
    const { heard, answer, voice } = deafSource();
    voice.progress(checkpoint(1));
    await settled();
    voice.progress(checkpoint(2), "0/1");
    voice.progress(checkpoint(3));

    answer();
    await settled();

    expect(heard).toEqual([
      { kind: "progress", seq: 1 },
      { kind: "progress", seq: 3, gapAfter: "0/1" },
    ]);
  });

  test("a possible gap is told before the last word, which brings the newest checkpoint itself", async () => {
    const { heard, answer, voice } = deafSource();
    voice.progress(checkpoint(1));
    await settled();
    voice.progress(checkpoint(2), "0/1");
    const end = voice.end({ kind: "report", report: { outcome: "stopped", logTail: [] } });

    answer();
    await end;

    expect(heard.slice(1)).toEqual([{ kind: "progress", seq: 2, gapAfter: "0/1" }, { kind: "report" }]);
  });

  test("the last word, which brings the newest checkpoint itself, does not wait for one that was to be said", async () => {
    const { heard, answer, voice } = deafSource();
    voice.progress(checkpoint(1));
    await settled();
    voice.progress(checkpoint(2));
    const end = voice.end({ kind: "report", report: { outcome: "stopped", logTail: [] } });

    answer();
    await end;

    expect(heard.slice(1)).toEqual([{ kind: "report" }]);
  });

  test("a job that is somebody else's is not spoken of, also where something was to be said next", async () => {
    const { heard, answer, voice } = deafSource();
    voice.progress(checkpoint(1));
    await settled();
    voice.progress(checkpoint(2), "0/1");
    voice.silence();

    answer();
    await settled();

    expect(heard).toEqual([{ kind: "progress", seq: 1 }]);
  });
});

function eventOf(said: Said): JobEvent {
  if (said === "report") return { type: "report", by: HOLDER, outcome: "failed" };
  return { type: said === "release" ? "release" : "started", by: HOLDER };
}
