import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { STEPS } from "../../../agent/node/state";
import { type AwsCall, xmlError } from "../../support/fake-aws";
import { loopVolume, sh } from "../../support/loop-volume";
import { nodeConfiguration, nodeDisk, runAgent } from "../../support/node-agent";
import { INSTANCE_ID, type NodeCloud, startNodeCloud } from "../../support/node-cloud";

/** When an agent is killed. */
type Moment =
  | { readonly line: string; readonly occurrence?: number }
  /** Before the call has its effect, or after it but before the agent hears of it. */
  | { readonly call: string; readonly side: "before" | "after" }
  | { readonly afterMs: number };

const FILE = "listeners=PLAINTEXT://10.0.0.10:9092\n";
const RUNS_PER_BOUNDARY = 2;
const RANDOM_NODES = 50;
const KILLS_PER_RANDOM_NODE = 3;
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;
const LANES = 6;
/** The smallest that mkfs.ext4 gives a journal, with room to spare: what a node does to a disk does not depend on its size. */
const VOLUME_GIB = 32 / 1_024;

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
const KILLS = boundaries.length * RUNS_PER_BOUNDARY + RANDOM_NODES * KILLS_PER_RANDOM_NODE;

jest.setTimeout(30 * 60_000);

test(`killed ${KILLS} times, at every boundary and in between, a node ends up as if nothing had happened`, async () => {
  const begun = performance.now();
  await bootedThrough([]);
  const bootMs = performance.now() - begun;
  // Spread evenly over the length of a boot, in an order that puts neighbours on different nodes.
  const random = Array.from(
    { length: RANDOM_NODES * KILLS_PER_RANDOM_NODE },
    (_, i): Moment => ({
      afterMs: Math.floor(bootMs * ((i * GOLDEN_RATIO) % 1)),
    }),
  );
  const queue: Moment[][] = [
    ...boundaries.flatMap((moment) => Array<Moment[]>(RUNS_PER_BOUNDARY).fill([moment])),
    ...Array.from({ length: RANDOM_NODES }, (_, i) =>
      random.slice(i * KILLS_PER_RANDOM_NODE).slice(0, KILLS_PER_RANDOM_NODE),
    ),
  ];

  let kills = 0;
  const lane = async () => {
    for (let moments = queue.shift(); moments; moments = queue.shift()) {
      const killed = await bootedThrough(moments);
      kills += killed;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));

  expect(kills).toBe(KILLS);
  expect(kills).toBeGreaterThanOrEqual(200);
});

/**
 * Boots a new node, kills its agent at each of the moments in turn, lets it run once more, and checks everything that the boots leave
 * behind. A moment that a boot was over before is looked for again: half as late, or on another node.
 *
 * @returns how many agents were killed.
 */
async function bootedThrough(moments: readonly Moment[]): Promise<number> {
  const volume = loopVolume({ visible: false, sizeGiB: VOLUME_GIB });
  const disk = nodeDisk();
  const cloud = await startNodeCloud({ volume, attachMs: 20 });
  try {
    const file = join(disk.folder, "server.properties");
    const script = `
      configure_cluster_node() {
        echo begin >> ${disk.data}/configured; echo configuring; sleep 0.1; echo configuring; echo end >> ${disk.data}/configured
      }
      wait_for_healthy_cluster() { grep -q end ${disk.data}/configured; }`;
    const content = { base64: Buffer.from(FILE).toString("base64") };
    const files = [{ path: file, user: "root", group: "root", mode: "0640", content }];
    disk.configure(nodeConfiguration(volume.volumeId, disk.data, script, { files }));

    const environment = { ...disk.environment, ...cloud.environment };
    const output: string[] = [];
    const missed: Moment[] = [];
    for (const wanted of moments) {
      for (let moment: Moment | undefined = wanted; moment; moment = earlier(moment)) {
        const run = await runAgent("run", environment, killAt(moment, cloud));
        output.push(`--- ${JSON.stringify(moment)}`, ...run.output);
        if (run.status === null) break;
        if (!("afterMs" in moment)) missed.push(moment);
      }
    }
    const last = await runAgent("run", environment);
    const context = [...output, "--- to its end", ...last.output].join("\n");

    const uuid = sh(`blkid -p -s UUID -o value ${volume.device}`).trim();
    const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
    const marks = readFileSync(join(disk.data, "configured"), "utf8").trim().split("\n");
    expect({
      context,
      status: last.status,
      attachments: cloud.attachments,
      mounts: mounts.filter((line) => line.includes(` ${disk.data} `)).length,
      initialised: [...new Set(cloud.tagHistory(volume.volumeId, "holdfast:initialised"))],
      file: readFileSync(file, "utf8"),
      mode: statSync(file).mode & 0o777,
      // A call that was cut off is followed by a whole one; two never run at once, and none follows the recorded end.
      marksInPairs:
        marks.length <= 2 * (moments.length + 1) && marks.every((mark, i) => mark === (i % 2 === 0 ? "begin" : "end")),
      lifecycleState: cloud.lifecycleState,
      continued: cloud.effectiveCompletions,
      boot: cloud.tags.get(INSTANCE_ID)?.get("holdfast:boot"),
      outcome: JSON.parse(readFileSync(join(disk.folder, "state/node-boot.json"), "utf8")).outcome,
    }).toEqual({
      context,
      status: 0,
      attachments: [INSTANCE_ID],
      mounts: 1,
      initialised: [uuid],
      file: FILE,
      mode: 0o640,
      marksInPairs: true,
      lifecycleState: "InService",
      continued: 1,
      boot: "ready",
      outcome: "ready",
    });
    return moments.length - missed.length + (missed.length > 0 ? await bootedThrough(missed) : 0);
  } finally {
    await cloud.close();
    disk.remove();
    volume.remove();
  }
}

/** A moment of the clock that came too late comes half as late the next time; there is none earlier than the start. */
const earlier = (moment: Moment): Moment | undefined =>
  "afterMs" in moment ? { afterMs: Math.floor(moment.afterMs / 2) } : undefined;

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
