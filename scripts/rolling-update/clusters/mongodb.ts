import * as z from "zod/mini";
import type { ManifestNode } from "../manifest";
import { HEALTHY, type NodeHealth, unhealthy } from "../probe";
import type { ClusterAdapter, MemberSettings, Surroundings } from "./cluster-adapter";
import { handOver } from "./hand-over";
import { channelOf } from "./on-node";
import { answersOf, healthOf } from "./quorum";
import { memberSettings } from "./settings";

export const mongodbSettingsSchema = z.strictObject({
  kind: z.literal("mongodb"),
  port: z._default(z.int().check(z.positive()), 27017),
  /**
   * File on the nodes with the connection string of the node's own member, user and password in it; only who runs the
   * shell may read it. Absent: the member is asked without logging in.
   */
  connectionFile: z.optional(z.string()),
  /** A secondary further behind is not well. */
  maxLagMs: z._default(z.int().check(z.positive()), 10_000),
  /** How long a primary that steps down does not stand again, and waits for a secondary to catch up. */
  stepDownMs: z._default(z.int().check(z.positive()), 60_000),
  ...memberSettings({ stop: ["systemctl", "stop", "mongod"], start: ["systemctl", "start", "mongod"] }),
});
export type MongodbSettings = Omit<z.output<typeof mongodbSettingsSchema>, keyof MemberSettings> & MemberSettings;

const memberSchema = z.object({
  name: z.string(),
  health: z.number(),
  stateStr: z.string(),
  /** Milliseconds since the epoch; an arbiter has none. */
  appliedMs: z.optional(z.number()),
  votes: z.number(),
  self: z.boolean(),
});
type Member = z.infer<typeof memberSchema>;
const viewSchema = z.object({ majority: z.number(), writeMajority: z.number(), members: z.array(memberSchema) });
type View = z.infer<typeof viewSchema>;

const DATA_STATES: readonly string[] = ["PRIMARY", "SECONDARY"];

/** https://www.mongodb.com/docs/manual/reference/command/replSetGetStatus/ with the votes of the configuration. */
const LOOK = `
const status = db.adminCommand({ replSetGetStatus: 1 });
if (status.ok !== 1) throw new Error(status.errmsg);
const votes = new Map(db.adminCommand({ replSetGetConfig: 1 }).config.members.map((member) => [member.host, member.votes]));
print(JSON.stringify({
  majority: Number(status.majorityVoteCount),
  writeMajority: Number(status.writeMajorityCount),
  members: status.members.map((member) => ({
    name: member.name,
    health: Number(member.health),
    stateStr: member.stateStr,
    appliedMs: member.optimeDate ? member.optimeDate.getTime() : undefined,
    votes: Number(votes.get(member.name) ?? 0),
    self: member.self === true,
  })),
}));`;

/**
 * A MongoDB replica set, through the shell on its nodes. A primary steps down only when a secondary has caught up
 * enough to be elected; then the others elect at once.
 * https://www.mongodb.com/docs/manual/reference/command/replSetStepDown/
 */
export function mongodbCluster(surroundings: Surroundings, settings: MongodbSettings): ClusterAdapter {
  const channel = channelOf(surroundings, "mongodb");
  /** The connection string is read on the node, by the shell itself. */
  const shell = ({ id }: ManifestNode, script: string): Promise<string> => {
    const address =
      settings.connectionFile === undefined
        ? JSON.stringify(`mongodb://127.0.0.1:${settings.port}/admin?directConnection=true`)
        : `require("fs").readFileSync(${JSON.stringify(settings.connectionFile)}, "utf8").trim()`;
    const program = `db = connect(${address});${script}`;
    return channel.run(id, ["mongosh", "--quiet", "--norc", "--nodb", "--eval", program], settings.timeoutMs);
  };
  const look = async (node: ManifestNode): Promise<View> =>
    viewSchema.parse(JSON.parse((await shell(node, LOOK)).trim().split("\n").at(-1) ?? ""));

  /** What each member says of itself; of the others it knows what heartbeats of some seconds ago said. */
  const verdictOf = ({ members }: View): NodeHealth => {
    const own = members.find(({ self }) => self);
    if (!own) return unhealthy("is no member of the replica set");
    if (own.stateStr === "ARBITER") return HEALTHY;
    if (!DATA_STATES.includes(own.stateStr)) return unhealthy(`is ${own.stateStr}`);
    const primary = members.find(({ stateStr, health }) => stateStr === "PRIMARY" && health === 1);
    if (!primary) return unhealthy("sees no primary");
    const lagMs = (primary.appliedMs ?? 0) - (own.appliedMs ?? 0);
    return lagMs <= settings.maxLagMs ? HEALTHY : unhealthy(`lags ${lagMs} ms behind the primary`);
  };
  const ownIn = ({ members }: View): Member | undefined => members.find(({ self }) => self);

  const probe = {
    health: (nodes: readonly ManifestNode[]) => healthOf(nodes, async (node) => verdictOf(await look(node))),
    canRoll: async (going: readonly ManifestNode[], all: readonly ManifestNode[]) => {
      if (all.length === 1) return HEALTHY;
      const views = await answersOf(
        all.filter((node) => !going.includes(node)),
        look,
      );
      const well = [...views.values()].flatMap((view) => {
        const own = ownIn(view);
        return own && verdictOf(view).ok ? [{ view, own }] : [];
      });
      const [first] = well;
      if (!first) return unhealthy("no member that stays is well");
      const votes = well.reduce((sum, { own }) => sum + own.votes, 0);
      const copies = well.filter(({ own }) => own.votes > 0 && DATA_STATES.includes(own.stateStr)).length;
      const { majority, writeMajority } = first.view;
      if (votes < majority) return unhealthy(`${votes} votes would stay, a majority is ${majority}`);
      if (copies < writeMajority) {
        return unhealthy(`${copies} members with data would stay, majority writes need ${writeMajority}`);
      }
      return HEALTHY;
    },
    leader: async (nodes: readonly ManifestNode[]) => {
      const views = await answersOf(nodes, look);
      const primaries = [...views].filter(([, view]) => ownIn(view)?.stateStr === "PRIMARY");
      return primaries.length === 1 ? primaries[0]?.[0] : undefined;
    },
  };

  const transfer = async (leader: ManifestNode) => {
    const [down, catchUp] = [settings.stepDownMs, settings.stepDownMs / 2].map((ms) => Math.ceil(ms / 1_000));
    const step = `{ replSetStepDown: ${down}, secondaryCatchUpPeriodSecs: ${catchUp} }`;
    await shell(
      leader,
      `const answer = db.adminCommand(${step}); if (answer.ok !== 1) throw new Error(answer.errmsg);`,
    );
  };
  return { probe, drain: handOver(surroundings, probe, settings, transfer) };
}
