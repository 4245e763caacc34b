import * as z from "zod/mini";
import type { Hook } from "./cloud";
import { clusterSettingsSchema } from "./clusters/kinds";
import { RollError } from "./roll-error";
import { inWords } from "./schema-messages";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const milliseconds = z.int().check(z.nonnegative());

export const strategySchema = z.enum(["suspend-launch", "scale-zero", "group-replaces"]);
export type Strategy = z.infer<typeof strategySchema>;

export const onFailureSchema = z.enum(["stop", "rollback"]);

/** How the application is asked whether a node is well; all that are given must agree. */
const checksSchema = z.strictObject({
  /** Answers 2xx; `{ip}` and `{node}` stand for the node's own. */
  http: z.optional(z.string()),
  /** A port that accepts. */
  tcp: z.optional(z.int().check(z.positive())),
  /** A program here that ends with 0. */
  command: z.optional(z.string()),
  /** A line of shell that ends with 0 on the node. */
  onNode: z.optional(z.string()),
  /** Of one check. @default 5 s, on the node 30 s */
  timeoutMs: z.optional(milliseconds.check(z.positive())),
});

/** What takes a node out of use before it goes: a program here, or a line of shell on the node. */
const drainSchema = z
  .strictObject({
    command: z.optional(z.string()),
    onNode: z.optional(z.string()),
    undoOnNode: z.optional(z.string()),
  })
  .check(
    z.refine(
      ({ command, onNode }) => command === undefined || onNode === undefined,
      "command and onNode exclude each other",
    ),
  );

export const settingsSchema = z.strictObject({
  /**
   * How an instance is replaced. `suspend-launch` keeps the group from launching until interface and volumes are free;
   * `scale-zero` takes the group to no instance and back; `group-replaces` leaves the order to the group.
   */
  strategy: z._default(strategySchema, "suspend-launch"),
  /** Between two looks at the world. */
  pollMs: z._default(milliseconds.check(z.positive()), 5 * SECOND),
  /** Successes of the whole cluster in a row before a node may go, and after it came. */
  successes: z._default(z.int().check(z.positive()), 3),
  /** How many nodes may be away at once; more than one only within a zone, and only if the probe accepts the set. */
  parallelWithinZone: z._default(z.int().check(z.positive()), 1),
  /** How long a closed gate is waited for. */
  gateTimeoutMs: z._default(milliseconds, 30 * MINUTE),
  drainTimeoutMs: z._default(milliseconds, 10 * MINUTE),
  /** Go on when the drain fails. */
  forceDrain: z._default(z.boolean(), false),
  /** From the request to terminate until instance, interface and volumes are free. */
  terminateTimeoutMs: z._default(milliseconds, 30 * MINUTE),
  /** From the release of the launch until the replacement is in service. */
  launchTimeoutMs: z._default(milliseconds, 60 * MINUTE),
  /** From in service until the whole cluster is healthy. */
  healthTimeoutMs: z._default(milliseconds, 15 * MINUTE),
  /** Time a healthy replacement is watched before the next node. */
  bakeMs: z._default(milliseconds, 0),
  /** The same for the first node. */
  canaryBakeMs: z._default(milliseconds, 0),
  /** Pause after the first node, until `roll resume`. */
  confirmAfterFirst: z._default(z.boolean(), false),
  /** CloudWatch alarms that stop the roll while a replacement is validated or watched. */
  alarms: z._default(z.array(z.string()), []),
  /** What happens to the touched nodes when one fails. */
  onFailure: z._default(onFailureSchema, "stop"),
  /** The release cannot be undone (a data format changed): no rollback. */
  irreversible: z._default(z.boolean(), false),
  /** Node ids to replace though they are on the target. */
  force: z._default(z.array(z.string()), []),
  /** In one run, no node starts to be replaced after this. */
  totalTimeoutMs: z._default(milliseconds, 24 * 60 * MINUTE),
  /** What runs on the nodes, when it is of a kind that is known: it is asked itself, and hands over by itself. */
  application: z.optional(clusterSettingsSchema),
  checks: z.prefault(checksSchema, {}),
  drain: z.prefault(drainSchema, {}),
});

export type Settings = z.output<typeof settingsSchema>;
/** Settings as they are given: what is left out is the default. */
export type SettingsInput = z.input<typeof settingsSchema>;

/** @throws RollError SETTINGS_INCOHERENT naming the setting. */
export function parseSettings(value: SettingsInput = {}): Settings {
  const parsed = settingsSchema.safeParse(value, { error: inWords });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new RollError("SETTINGS_INCOHERENT", `the settings are invalid: ${problems.join("; ")}`, {
    next: "correct them; `holdfast roll run --help` says what each option takes",
  });
}

/**
 * What of the time limits contradicts the group's launch hook: the roller extends the heartbeat while a node starts, but the
 * hook as a whole ends after its global timeout (100 heartbeats, at most 48 h).
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks.html
 */
export function incoherences(settings: Settings, hooks: readonly Hook[]): string[] {
  const problems: string[] = [];
  for (const hook of hooks) {
    if (hook.transition === "launching" && settings.launchTimeoutMs > hook.globalMs) {
      problems.push(
        `launchTimeoutMs (${settings.launchTimeoutMs}) should be <= the global timeout of hook ${hook.name} (${hook.globalMs})`,
      );
    }
    if (hook.transition === "terminating" && settings.terminateTimeoutMs < hook.heartbeatMs) {
      problems.push(
        `terminateTimeoutMs (${settings.terminateTimeoutMs}) should be >= the heartbeat timeout of hook ${hook.name} (${hook.heartbeatMs})`,
      );
    }
    if (hook.heartbeatMs < 4 * settings.pollMs) {
      problems.push(
        `pollMs (${settings.pollMs}) should be <= a quarter of the heartbeat timeout of hook ${hook.name} (${hook.heartbeatMs})`,
      );
    }
  }
  const oneNode =
    settings.drainTimeoutMs + settings.terminateTimeoutMs + settings.launchTimeoutMs + settings.healthTimeoutMs;
  if (settings.totalTimeoutMs < oneNode) {
    problems.push(
      `totalTimeoutMs (${settings.totalTimeoutMs}) should be >= the limits of one node together (${oneNode})`,
    );
  }
  return problems;
}
