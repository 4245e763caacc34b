import type { Finding, Rule } from "../modules/worker-fleet/schema-rules";
import { finding } from "../modules/worker-fleet/schema-rules";
import { KEYS_OF_APPLICATION, type RollDocument } from "./roll-keys";

interface RolledCluster {
  readonly nodes: readonly { readonly node_id: string }[];
  readonly asg_lifecycle_hook_heartbeat_timeout: number;
  readonly rolling_update: RollDocument;
}
type Refusal = readonly [broken: boolean, path: Finding["path"], message: string];

const findings = (refusals: readonly Refusal[]): Finding[] =>
  refusals.flatMap(([broken, path, message]) => finding(broken, ["rolling_update", ...path], message));

/** Keys that are about more than the roll of an apply. */
const OF_ANY_ROLL = ["when", "from_nodes"];

function settingsHaveARoll({ rolling_update: { when, ...settings } }: RolledCluster): Finding[] {
  if (when === "apply") return [];
  return findings(
    Object.keys(settings)
      .filter((key) => !OF_ANY_ROLL.includes(key))
      .map((key) => [true, [key], `changes nothing while rolling_update.when is ${when}; set it to apply`]),
  );
}

function applicationStandsAlone({ rolling_update: roll }: RolledCluster): Finding[] {
  return findings(
    (["checks", "drain"] as const).map((key) => [
      roll.application !== undefined && roll[key] !== undefined,
      [key],
      `should not stand beside application (${roll.application?.kind}), which is asked itself and hands over by itself`,
    ]),
  );
}

function applicationHasItsKeys({ rolling_update: { application }, nodes }: RolledCluster): Finding[] {
  if (application === undefined) return [];
  const { kind, port, admin_port, tls, node_ids = {} } = application;
  const known = nodes.map(({ node_id }) => node_id);
  return findings([
    ...Object.keys(application).map((key): Refusal => {
      const kinds = Object.entries(KEYS_OF_APPLICATION).flatMap(([name, keys]) =>
        keys.includes(key as never) ? name : [],
      );
      return [!kinds.includes(kind), ["application", key], `is for ${kinds.join(" and ")}; kind is ${kind}`];
    }),
    [
      port !== undefined && admin_port !== undefined,
      ["application", "port"],
      `should not stand beside admin_port (${admin_port}): one of them is asked`,
    ],
    [
      (tls?.certificate === undefined) !== (tls?.key === undefined),
      ["application", "tls"],
      "should have certificate and key, or neither",
    ],
    ...Object.keys(node_ids).map(
      (id): Refusal => [
        !known.includes(id),
        ["application", "node_ids", id],
        `should be under the node_id of a node; there are ${known.join(", ")}`,
      ],
    ),
  ]);
}

function checksAndDrainsFit({ rolling_update: { checks, drain } }: RolledCluster): Finding[] {
  const { timeout, ...asked } = checks ?? {};
  return findings([
    [
      timeout !== undefined && Object.keys(asked).length === 0,
      ["checks", "timeout"],
      "limits nothing: give http, tcp, command or on_node too",
    ],
    [
      drain?.command !== undefined && drain.on_node !== undefined,
      ["drain", "command"],
      `should not stand beside drain.on_node (${JSON.stringify(drain?.on_node)}): a node is drained in one way`,
    ],
    [
      drain?.undo_on_node !== undefined && drain.on_node === undefined,
      ["drain", "undo_on_node"],
      "undoes nothing: drain.on_node is not given",
    ],
  ]);
}

function failureHasAWayBack({ rolling_update: { on_failure, irreversible } }: RolledCluster): Finding[] {
  return findings([
    [
      on_failure === "rollback" && irreversible === true,
      ["on_failure"],
      "should not stand beside irreversible (true): there is no way back",
    ],
  ]);
}

const SECONDS = { s: 1, m: 60, h: 3_600 } as const;
const secondsOf = (time: string) => Number(time.slice(0, -1)) * SECONDS[time.slice(-1) as keyof typeof SECONDS];

/** A hook as a whole ends after 100 heartbeats, at most 48 h: https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks.html */
const GLOBAL_HEARTBEATS = 100;
const GLOBAL_LIMIT_SECONDS = 172_800;

function hookOutlastsTheRoll({ asg_lifecycle_hook_heartbeat_timeout: hook, rolling_update }: RolledCluster): Finding[] {
  const { launch_timeout: launch, poll } = rolling_update;
  const longest = Math.min(GLOBAL_HEARTBEATS * hook, GLOBAL_LIMIT_SECONDS);
  const heartbeat = `asg_lifecycle_hook_heartbeat_timeout (${hook} s)`;
  return findings([
    [
      launch !== undefined && secondsOf(launch) > longest,
      ["launch_timeout"],
      `should be at most ${longest}s: ${heartbeat} lets no instance wait longer in its launch hook`,
    ],
    [
      poll !== undefined && 4 * secondsOf(poll) > hook,
      ["poll"],
      `should be at most ${hook / 4}s, a quarter of ${heartbeat}`,
    ],
  ]);
}

/** What no single key of `rolling_update` can be checked for. */
export const ROLL_RULES: readonly Rule<RolledCluster>[] = [
  { reads: ["rolling_update.when"], findings: settingsHaveARoll },
  { reads: ["rolling_update"], findings: applicationStandsAlone },
  { reads: ["nodes", "rolling_update.application"], findings: applicationHasItsKeys },
  { reads: ["rolling_update.checks", "rolling_update.drain"], findings: checksAndDrainsFit },
  { reads: ["rolling_update.on_failure", "rolling_update.irreversible"], findings: failureHasAWayBack },
  {
    reads: ["asg_lifecycle_hook_heartbeat_timeout", "rolling_update.launch_timeout", "rolling_update.poll"],
    findings: hookOutlastsTheRoll,
  },
];
