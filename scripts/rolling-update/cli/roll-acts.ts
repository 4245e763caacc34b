import { hostname, userInfo } from "node:os";
import { command as tell } from "../control";
import { readJournal } from "../journal";
import { lastRoller } from "../lock";
import { type Manifest, manifestFrom } from "../manifest";
import { plan } from "../plan";
import { roll, rollback, touchedNodes } from "../roll";
import { RollError } from "../roll-error";
import type { Outcome, RollOptions, RollPorts, StopRequest } from "../roll-ports";
import type { Settings, SettingsInput } from "../settings";
import type { CommandLine, Flags } from "./command-line";
import { EXIT, exitCodeOf } from "./exit-codes";
import { onInterrupt } from "./interrupt";
import { errorData, errorText, lastHeard, outcomeText, planText, rollbackText, statusText } from "./report";
import { settingsOf } from "./settings-of";

type Run = (ports: RollPorts, manifest: Manifest, settings: Settings, options: RollOptions) => Promise<Outcome>;
type Act = (flags: Flags) => Promise<number>;

/** What a person can have a roller do; each resolves to its exit code. */
export interface RollActs {
  readonly plan: Act;
  readonly run: Act;
  readonly resume: Act;
  readonly rollback: Act;
  readonly recover: (flags: Flags, node: string) => Promise<number>;
  readonly status: Act;
  readonly pause: Act;
  readonly abort: Act;
}

/** The commands themselves, however they are asked for: on a command line, or on a node through Systems Manager. */
export function rollActs(line: CommandLine): RollActs {
  const { clock, stdout, stderr, node } = line.surroundings;

  const showPlan = async (flags: Flags, more: SettingsInput = {}): Promise<number> => {
    const reached = line.reach(flags);
    const settings = settingsOf(flags, more);
    const shown = await plan(line.ports(reached, settings, flags), reached.manifest, settings);
    line.print(flags, shown, planText(shown));
    if (shown.refusals.length > 0) return EXIT.refused;
    return shown.nodes.some(({ order }) => order !== null) ? EXIT.changesPending : EXIT.done;
  };

  const showRollback = async (flags: Flags): Promise<number> => {
    const { manifest, store } = line.reach(flags);
    const nodes = touchedNodes((await readJournal(store)).replacements).map(({ node, from, to }) => ({
      node,
      from: to,
      to: from,
    }));
    line.print(flags, { cluster: manifest.cluster, rollback: nodes }, rollbackText(manifest.cluster, nodes));
    return nodes.length > 0 ? EXIT.changesPending : EXIT.done;
  };

  const work = async (flags: Flags, run: Run, options: Partial<RollOptions>, more?: SettingsInput): Promise<number> => {
    const reached = line.reach(flags);
    const settings = settingsOf(flags, more);
    const stop: StopRequest = { level: "go on" };
    const release = onInterrupt(stop, stderr);
    try {
      const ports = line.ports(reached, settings, flags);
      const outcome = await run(ports, reached.manifest, settings, {
        owner: owner(),
        stop,
        ...(node === undefined ? {} : { runsOn: node.instanceId }),
        ...options,
      });
      const { error, ...rest } = outcome;
      const data = { outcome: { ...rest, ...(error ? { error: errorData(error) } : {}) } };
      const isText = !flags.json && (stdout.isTTY || node !== undefined);
      stdout.write(`${isText ? outcomeText(outcome) : JSON.stringify(data)}\n`);
      if (error && !isText && !flags.json) stderr.write(`${errorText(error)}\n`);
      if (node === undefined || outcome.successors === undefined) return exitCodeOf(outcome);
      const successor = await node.handOn(ports, reached.manifest, outcome.successors);
      stdout.write(`handed over to node ${successor}; \`status\` follows it\n`);
      return EXIT.handedOver;
    } finally {
      release();
    }
  };

  /** What the roll in the journal was begun with. */
  const recorded = async (flags: Flags): Promise<SettingsInput | undefined> =>
    (await readJournal(line.reach(flags).store)).roll?.settings;

  const request = (what: "pause" | "abort") => async (flags: Flags) => {
    const { store, manifest } = line.reach(flags);
    const last = await lastRoller(store, clock.now());
    if (!last || last.isDead) {
      throw new RollError("NOTHING_TO_RESUME", `nobody is rolling ${manifest.cluster}`, {
        reason: last && lastHeard(last),
        next: `\`holdfast roll ${last ? "resume" : "status"}\``,
      });
    }
    await tell(store, what);
    line.print(flags, { requested: what, of: last.owner }, `asked ${last.owner} to ${what} after the current node`);
    return EXIT.done;
  };

  return {
    plan: (flags) => showPlan(flags),
    run: (flags) => (flags.yes ? work(flags, roll, {}) : showPlan(flags)),
    resume: async (flags) =>
      work(flags, roll, { resume: true, confirmed: flags.confirm === true }, await recorded(flags)),
    rollback: async (flags) =>
      flags.yes ? work(flags, rollback, {}, backwards(await recorded(flags))) : showRollback(flags),
    recover: async (flags, nodeId) => {
      const manifest = manifestFrom(flags.cluster);
      if (!manifest.nodes.some(({ id }) => id === nodeId)) {
        const known = manifest.nodes.map(({ id }) => id).join(", ");
        throw new RollError("MANIFEST_INVALID", `cluster ${manifest.cluster} has no node ${nodeId}; it has ${known}`);
      }
      const more = { force: [nodeId] };
      return flags.yes ? work(flags, roll, { only: [nodeId] }, more) : showPlan(flags, more);
    },
    status: async (flags) => {
      const { store } = line.reach(flags);
      const journal = await readJournal(store);
      const last = await lastRoller(store, clock.now());
      const owner = last && !last.isDead ? last.owner : null;
      const data = { owner, roll: journal.roll ?? null, nodes: [...journal.replacements.values()] };
      line.print(flags, data, statusText(journal, last, clock.now()));
      return EXIT.done;
    },
    pause: request("pause"),
    abort: request("abort"),
  };
}

/** A rollback keeps how a roll goes, not whom it was forced on, and does not wait for a confirmation again. */
function backwards(settings: SettingsInput | undefined): SettingsInput {
  return { ...settings, force: [], confirmAfterFirst: false, onFailure: "stop" };
}

function owner(): string {
  return `${userInfo().username}@${hostname()} (process ${process.pid})`;
}
