import { CloudError } from "../rolling-update/cloud";
import {
  type Connection,
  type SimulatedAws,
  type SimulationOptions,
  templateId,
} from "../rolling-update/simulator/simulated-aws";

const MINUTE_MS = 60_000;

/** One situation a rolling update meets, and what must come of it. */
export interface Scenario {
  readonly name: string;
  readonly world?: SimulationOptions;
  /** The release, and what goes wrong with it. */
  readonly arrange: (aws: SimulatedAws) => void | Promise<void>;
  readonly connection?: (aws: SimulatedAws) => Connection;
  /** `rolled`: every node on its target in the end; `stopped`: an exit that is not 0, at most one node touched. */
  readonly expect: "rolled" | "stopped";
  /** The updater is killed at its first termination, and run again. */
  readonly killed?: true;
  /** Another updater starts half a minute later. */
  readonly second?: true;
  /** Run again this long after an exit that is not 0. */
  readonly againAfterMs?: number;
  /** An exit that is not 0 must come within this time of the start. */
  readonly saysWithinMs?: number;
  /** Nodes that must not be touched. */
  readonly untouched?: readonly string[];
  /** Suspensions that are somebody else's and must stay. */
  readonly foreign?: readonly string[];
  /** The leader may be hit once, at the end. */
  readonly leaderLast?: true;
}

const released = (aws: SimulatedAws) => aws.release();

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "stale read after terminate",
    arrange: async (aws) => {
      aws.release();
      await aws.pass(MINUTE_MS);
    },
    connection: (aws) => ({ staleMs: () => Math.floor(aws.random() * 30_000) }),
    expect: "rolled",
  },
  { name: "`$Latest` group", arrange: (aws) => aws.release({}, undefined, () => "$Latest"), expect: "rolled" },
  { name: "new template, same version number", arrange: anotherTemplate, expect: "rolled" },
  {
    name: "slow shutdown holding the interface",
    world: { ec2: { shutdownMs: () => 8 * MINUTE_MS } },
    arrange: released,
    expect: "rolled",
  },
  { name: "terminate hook of 10 min", world: { terminateHookMs: 10 * MINUTE_MS }, arrange: released, expect: "rolled" },
  {
    name: "bad image on the first node",
    arrange: (aws) => {
      aws.release();
      aws.ec2.launchFault = ({ version }) => (version === 2 ? "The AMI ID 'ami-0bad' does not exist." : undefined);
    },
    expect: "stopped",
    saysWithinMs: 5 * MINUTE_MS,
  },
  { name: "node in Pending:Wait from an older bad version", arrange: stuckNode, expect: "rolled" },
  { name: "crash between terminate and relaunch", arrange: released, killed: true, expect: "rolled" },
  { name: "second runner", arrange: released, second: true, expect: "rolled", againAfterMs: 0 },
  {
    name: "unrelated node dies mid-roll",
    arrange: (aws) => {
      aws.release({}, ["00", "01"]);
      aws.clock.after(MINUTE_MS, () => aws.guests.degrade("02", 10 * MINUTE_MS));
    },
    expect: "rolled",
  },
  {
    name: "leader moves mid-roll",
    arrange: (aws) => {
      aws.release();
      aws.guests.lead("00");
      aws.clock.after(MINUTE_MS, () => aws.guests.lead("01"));
    },
    leaderLast: true,
    expect: "rolled",
  },
  {
    name: "flapping node",
    arrange: (aws) => {
      aws.release({}, ["00", "01"]);
      for (let minute = 0; minute < 12; minute++)
        aws.clock.after(minute * MINUTE_MS + 1, () => aws.guests.degrade("02", 45_000));
    },
    expect: "rolled",
  },
  {
    name: "throttling 50 %",
    arrange: released,
    connection: (aws) => ({
      fault: (method) => (aws.random() < 0.5 ? new CloudError(method, "Throttling", "Rate exceeded") : undefined),
    }),
    expect: "rolled",
  },
  {
    name: "expired credentials",
    arrange: released,
    connection: (aws) => {
      const expiry = aws.clock.now() + MINUTE_MS;
      const renewal = expiry + 30 * MINUTE_MS;
      const isExpired = () => aws.clock.now() > expiry && aws.clock.now() < renewal;
      return {
        fault: (method) =>
          isExpired() ? new CloudError(method, "ExpiredToken", "The security token is expired") : undefined,
      };
    },
    expect: "rolled",
    saysWithinMs: 2 * MINUTE_MS,
    againAfterMs: 40 * MINUTE_MS,
  },
  {
    name: "InsufficientInstanceCapacity",
    arrange: (aws) => {
      aws.release();
      const end = aws.clock.now() + 20 * MINUTE_MS;
      aws.ec2.launchFault = () =>
        aws.clock.now() < end
          ? "We currently do not have sufficient m6i.large capacity in the Availability Zone"
          : undefined;
    },
    expect: "rolled",
    saysWithinMs: 5 * MINUTE_MS,
    againAfterMs: 40 * MINUTE_MS,
  },
  {
    name: "heartbeat shorter than recovery",
    world: { hook: { heartbeatMs: 10 * MINUTE_MS } },
    arrange: (aws) => aws.release({ bootMs: () => 40 * MINUTE_MS }),
    expect: "rolled",
  },
  {
    name: "zone impaired",
    arrange: (aws) => {
      aws.release({}, ["01"]);
      aws.ec2.impaired.add("eu-west-1b");
      aws.ec2.launchFault = () => "We currently do not have sufficient m6i.large capacity in the Availability Zone";
    },
    untouched: ["01"],
    expect: "stopped",
  },
  {
    name: "foreign suspended process",
    arrange: (aws) => {
      aws.release({}, ["01"]);
      aws.autoScaling.suspend("orders-node-01", "Launch");
    },
    untouched: ["01"],
    foreign: ["orders-node-01: Launch suspended"],
    expect: "stopped",
  },
];

/** A template replaced by another starts again at version 1. */
function anotherTemplate(aws: SimulatedAws): void {
  for (const node of aws.manifest.nodes) {
    const id = `${templateId(node)}-b`;
    const version = aws.ec2.addTemplateVersion(id, {
      spot: false,
      interfaces: [{ id: node.interfaceId, deleteOnTermination: false }],
    });
    aws.autoScaling.update(node.group, { template: { id, version: String(version) } });
  }
}

/** Node 00 hangs in its hook on version 2; version 3 is good. */
async function stuckNode(aws: SimulatedAws): Promise<void> {
  aws.release({ boot: "hangs" }, ["00"]);
  aws.autoScaling.terminate(aws.group("orders-node-00").instances[0]?.id ?? "", false);
  await aws.pass(10 * MINUTE_MS);
  aws.release();
}
