import { readFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { AutoScalingClient, DescribeScalingActivitiesCommand } from "@aws-sdk/client-auto-scaling";
import { eventSchema, type RollEvent } from "../../../scripts/rolling-update/events";
import type { ClusterLab } from "./cluster-lab";
import { type ClusterKind, isHealthy, rolling, type Writer } from "./cluster-life";

const EXAMPLES = join(__dirname, "../../../examples");

export interface BadRelease {
  /** Shell functions in place of those of the cluster's node config script. */
  readonly script: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly options?: readonly string[];
  /** What the operator is told at the end. */
  readonly verdict: RegExp;
  /** When there is first something to tell, milliseconds since the epoch, and when it is told. */
  readonly known: (lab: ClusterLab, node: string, events: readonly RollEvent[]) => Promise<number>;
  readonly told: (event: RollEvent) => boolean;
}

/** The releases that a roll has to stop at its first node. */
export const BAD_RELEASES: Readonly<Record<string, BadRelease>> = {
  "stops its member once it is healthy": {
    script: `eval "as_before_$(declare -f wait_for_healthy_cluster)"
wait_for_healthy_cluster() { as_before_wait_for_healthy_cluster "$@" && systemctl stop "$CLUSTER"; }`,
    options: ["--health-timeout", "15s"],
    verdict: /CLUSTER_UNHEALTHY/,
    known: async (_lab, node, events) =>
      momentOf(events, (event) => event.node === node && event.kind === "phase" && event.phase === "validating"),
    // Where one look takes longer than the timeout, the verdict comes instead.
    told: (event) => hasFailed(event) || (event.phase === "validating" && /^node \d\d: /.test(event.reason ?? "")),
  },
  "fails to configure": {
    script: "configure_cluster_node() { echo 'the licence has expired' >&2; return 1; }",
    verdict: /HOOK_ABANDONED.*configure_cluster_node failed with status 1 \| the licence has expired/,
    known: launchFailed,
    told: hasFailed,
  },
  hangs: {
    script: "configure_cluster_node() { echo 'waiting for a licence'; sleep infinity; }",
    inputs: { configure_timeout_seconds: 20 },
    verdict: /HOOK_ABANDONED.*did not finish within 20 s \| waiting for a licence/,
    known: launchFailed,
    told: hasFailed,
  },
};

/** Rolls out a release that cannot be: the roll stops at its first node and says why, and the cluster goes on serving. */
export async function stopsAtItsFirstNode(
  lab: ClusterLab,
  kind: ClusterKind,
  writer: Writer,
  image: string,
  { script, inputs, options = [], verdict, known, told }: BadRelease,
): Promise<void> {
  const before = await lab.nodes();
  const own = readFileSync(join(EXAMPLES, kind.settings.kind, "node-config-script.sh"), "utf8");
  const whole = `${own}\nCLUSTER=${kind.settings.kind}\n${script}\n`;
  lab.release({
    node_image: image,
    node_config_script: Buffer.from(whole).toString("base64"),
    on_boot_failure: "abandon",
    ...inputs,
    ...rolling(kind, ...options),
  });
  const { output, looks } = await lookedAt(lab, () => apply(lab));

  expect(output).toMatch(verdict);
  const after = await lab.nodes();
  const touched = after.filter(
    ({ instanceId, lifecycle }, index) => lifecycle !== "InService" || instanceId !== before[index]?.instanceId,
  );
  expect(touched).toHaveLength(1);

  const events = eventsIn(output);
  const knownMs = await known(lab, touched[0]?.nodeId ?? "", events);
  const toldMs = momentOf(events, told);
  expect(looks.length).toBeGreaterThan(0);
  expect(knownMs).toBeLessThanOrEqual(toldMs);
  expect(looks.filter((atMs) => knownMs < atMs && atMs <= toldMs).length).toBeLessThanOrEqual(1);

  const written = writer.acknowledged;
  await lab.until("more writes", async () => writer.acknowledged > written + 50);
}

/** Applies the release without what was wrong with it: nothing else has to be done. */
export async function goesThrough(lab: ClusterLab, kind: ClusterKind, image: string): Promise<void> {
  const before = await lab.nodes();
  lab.release({ node_image: image, ...rolling(kind) });
  expect(await apply(lab)).toBe("applied");
  await lab.inService();
  for (const [index, { instanceId }] of (await lab.nodes()).entries()) {
    expect(instanceId).not.toBe(before[index]?.instanceId);
  }
  await lab.until("the cluster is healthy", () => isHealthy(lab, kind));
}

/** Applies, and gives what the terminal showed where it failed. */
const apply = (lab: ClusterLab) =>
  lab
    .terraform()
    .apply()
    .then(
      () => "applied",
      (error: Error) => stripVTControlCharacters(error.message).replace(/[\s│]+/g, " "),
    );

/** Notes meanwhile when the roller looks at the node that it replaces: nothing else asks for scaling activities. */
async function lookedAt(lab: ClusterLab, work: () => Promise<string>) {
  const { faults } = lab.cloud().aws;
  const { refuse } = faults;
  const looks: number[] = [];
  faults.refuse = (call) => {
    if (call.action === "DescribeScalingActivities") looks.push(Date.now());
    return refuse(call);
  };
  try {
    return { output: await work(), looks };
  } finally {
    faults.refuse = refuse;
  }
}

/** The roller's lines, among Terraform's. */
function eventsIn(output: string): RollEvent[] {
  return output.split(/(?=\{"time":)/).flatMap((text) => {
    const [json = ""] = /^\{"time":.*\}/.exec(text) ?? [];
    try {
      return eventSchema.parse(JSON.parse(json));
    } catch {
      return [];
    }
  });
}

function momentOf(events: readonly RollEvent[], is: (event: RollEvent) => boolean): number {
  const event = events.find(is);
  if (event === undefined) throw new Error(`not told: ${JSON.stringify(events, null, 1)}`);
  return Date.parse(event.time);
}

function hasFailed({ kind, phase }: RollEvent): boolean {
  return kind === "phase" && phase === "failed";
}

/** When the group's first activity that failed in this roll ended; Infinity where none did. */
async function launchFailed(lab: ClusterLab, node: string, events: readonly RollEvent[]): Promise<number> {
  const begunMs = momentOf(events, ({ kind, phase }) => kind === "phase" && phase === "launching");
  const client = new AutoScalingClient({
    region: "us-west-2",
    endpoint: lab.cloud().aws.url,
    credentials: { accessKeyId: "emulator", secretAccessKey: "emulator" },
  });
  const { group } = (await lab.nodes()).find(({ nodeId }) => nodeId === node) ?? {};
  const { Activities = [] } = await client.send(new DescribeScalingActivitiesCommand({ AutoScalingGroupName: group }));
  const ends = Activities.filter(({ StatusCode = "" }) => ["Failed", "Cancelled"].includes(StatusCode))
    .map(({ EndTime }) => EndTime?.getTime() ?? 0)
    .filter((endMs) => endMs > begunMs);
  return Math.min(...ends);
}
