import { nodeCommands } from "../rolling-update/aws/node-commands";
import { sdkSystemsManager } from "../rolling-update/aws/sdk-systems-manager";
import { applicationOf } from "../rolling-update/cli/application";
import { systemClock } from "../rolling-update/clock";
import type { Manifest } from "../rolling-update/manifest";
import { parseSettings, type SettingsInput } from "../rolling-update/settings";
import type { Unwell } from "./watch";

/** Asks the application of clusters, by the checks that the rolling update is given. */
export function applicationCheck(
  given: SettingsInput,
  clusters: readonly Manifest[],
  options: { readonly region: string; readonly endpoint: string },
): Unwell {
  const settings = parseSettings(given);
  if (settings.application === undefined && Object.keys(settings.checks).length === 0) return async () => new Map();
  return async (watched) => {
    const unwell = new Map<string, string>();
    for (const { nodes } of clusters) {
      const asked = nodes.filter(({ group }) => watched.some((node) => node.group === group));
      const instanceOf = async (id: string) => {
        const group = nodes.find((node) => node.id === id)?.group;
        return watched.find((node) => node.group === group)?.instance;
      };
      const channel = nodeCommands(sdkSystemsManager(options), systemClock, instanceOf);
      const answers = await applicationOf(settings, { nodes, clock: systemClock, channel }).probe.health(asked);
      for (const node of asked) {
        const name = watched.find(({ group }) => group === node.group)?.name ?? node.id;
        const answer = answers.get(node.id);
        if (answer && !answer.ok) unwell.set(name, answer.reason);
      }
    }
    return unwell;
  };
}
