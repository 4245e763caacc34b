import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { STEPS } from "../../../agent/node/state";
import { type AwsCall, xmlError } from "../../support/fake-aws";
import { loopVolume, sh } from "../../support/loop-volume";
import { nodeConfiguration, nodeDisk, runAgent } from "../../support/node-agent";
import { INSTANCE_ID, type NodeCloud, startNodeCloud } from "../../support/node-cloud";

/** When the agent is killed. */
type Moment =
  | { readonly line: string; readonly occurrence?: number }
  /** Before the call has its effect, or after it but before the agent hears of it. */
  | { readonly call: string; readonly side: "before" | "after" }
  | { readonly afterMs: number };

const FILE = "listeners=PLAINTEXT://10.0.0.10:9092\n";
const RUNS_PER_BOUNDARY = 4;
const RANDOM_RUNS = 100;
const LANES = 6;
/** A little more than an undisturbed boot takes on an idle machine. */
const LONGEST_MS = 2_500;

const boundaries: Moment[] = [
  ...STEPS.flatMap((step): Moment[] => [
    { line: `"message":"step started","step":"${step}"` },
    { line: `"message":"step done","step":"${step}"` },
  ]),
  { line: "formatting blank volume" },
  { line: "configuring", occurrence: 1 },
  { line: "configuring", occurrence: 2 },
  ...[
    "DescribeVolumes",
    "AttachVolume",
    "CreateTags",
    "DescribeAutoScalingInstances",
    "CompleteLifecycleAction",
  ].flatMap((call): Moment[] => [
    { call, side: "before" },
    { call, side: "after" },
  ]),
];
const moments: Moment[] = [
  ...boundaries.flatMap((moment) => Array<Moment>(RUNS_PER_BOUNDARY).fill(moment)),
  ...Array.from({ length: RANDOM_RUNS }, (_, i) => ({ afterMs: Math.round((LONGEST_MS * (i + 0.5)) / RANDOM_RUNS) })),
];

jest.setTimeout(30 * 60_000);

test(`killed at ${moments.length} moments, a node ends up as if nothing had happened`, async () => {
  const queue = [...moments];
  const missed: Moment[] = [];
  const lane = async () => {
    for (let moment = queue.shift(); moment; moment = queue.shift()) {
      if (!(await killedBoot(moment))) missed.push(moment);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));

  // An agent that waits for the answer to a call is alive; one that wrote a line may have ended before it is killed.
  expect(moments.length).toBeGreaterThanOrEqual(200);
  expect(missed.filter((moment) => "call" in moment)).toEqual([]);
});

/**
 * Boots a new node, kills the agent once, lets it run again, and checks everything that the boot leaves behind.
 *
 * @returns whether the first run was still alive at the moment.
 */
async function killedBoot(moment: Moment): Promise<boolean> {
  const volume = loopVolume({ visible: false });
  const disk = nodeDisk();
  const cloud = await startNodeCloud({ volume, attachMs: 20 });
  try {
    const file = join(disk.folder, "server.properties");
    const script = `
      configure_cluster_node() {
        echo begin >> ${disk.data}/configured; echo configuring; sleep 0.1; echo configuring; echo end >> ${disk.data}/configured
      }
      wait_for_healthy_cluster() { grep -q end ${disk.data}/configured; }`;
    disk.configure(
      nodeConfiguration(volume.volumeId, disk.data, script, {
        files: [
          {
            path: file,
            user: "root",
            group: "root",
            mode: "0640",
            content: { base64: Buffer.from(FILE).toString("base64") },
          },
        ],
      }),
    );

    const environment = { ...disk.environment, ...cloud.environment };
    const first = await runAgent("run", environment, killAt(moment, cloud));
    const again = await runAgent("run", environment);
    const context = `${JSON.stringify(moment)}\n${[...first.output, "--- again", ...again.output].join("\n")}`;

    const uuid = sh(`blkid -p -s UUID -o value ${volume.device}`).trim();
    const marks = readFileSync(join(disk.data, "configured"), "utf8").trim().split("\n");
    expect({ context, ...observed() }).toEqual({
      context,
      status: 0,
      attachments: [INSTANCE_ID],
      mounts: 1,
      initialised: [uuid],
      file: FILE,
      mode: 0o640,
      // A call that was cut off is followed by a whole one; two never run at once, and none follows the recorded end.
      marksInPairs: true,
      lifecycleState: "InService",
      continued: 1,
      boot: "ready",
      outcome: "ready",
    });
    return first.status === null;

    function observed() {
      return {
        status: again.status,
        attachments: cloud.attachments,
        mounts: sh("cat /proc/self/mountinfo")
          .split("\n")
          .filter((line) => line.includes(` ${disk.data} `)).length,
        initialised: [...new Set(cloud.tagHistory(volume.volumeId, "holdfast:initialised"))],
        file: readFileSync(file, "utf8"),
        mode: statSync(file).mode & 0o777,
        marksInPairs: marks.length <= 4 && marks.every((mark, i) => mark === (i % 2 === 0 ? "begin" : "end")),
        lifecycleState: cloud.lifecycleState,
        continued: cloud.effectiveCompletions,
        boot: cloud.tags.get(INSTANCE_ID)?.get("holdfast:boot"),
        outcome: JSON.parse(readFileSync(join(disk.folder, "state/node-boot.json"), "utf8")).outcome,
      };
    }
  } finally {
    await cloud.close();
    disk.remove();
    volume.remove();
  }
}

function killAt(moment: Moment, cloud: NodeCloud): Parameters<typeof runAgent>[2] {
  if ("afterMs" in moment) return { onStart: (kill) => void setTimeout(kill, moment.afterMs) };
  if ("line" in moment) {
    let left = moment.occurrence ?? 1;
    return {
      onLine: (line, kill) => {
        if (line.includes(moment.line) && --left === 0) kill();
      },
    };
  }
  return { onStart: (kill) => killAtCall(cloud, moment, kill) };
}

/** The agent dies during its first call of this kind: either nothing came of it, or only the answer is lost. */
function killAtCall(
  cloud: NodeCloud,
  { call, side }: { call: string; side: "before" | "after" },
  kill: () => void,
): void {
  let done = false;
  cloud.aws.intercept(call, (request: AwsCall) => {
    if (done) return usual(request);
    done = true;
    if (side === "after") usual(request);
    kill();
    return xmlError(503, "ServiceUnavailable", "the agent is dead by now");
  });
  const usual = cloud.usually(call);
}
