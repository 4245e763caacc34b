import { applicationOf } from "../rolling-update/cli/application";
import { systemClock } from "../rolling-update/clock";
import type { Manifest } from "../rolling-update/manifest";
import { parseSettings, type SettingsInput } from "../rolling-update/settings";
import { clusterConnection } from "./cluster-connection";
import type { Unwell } from "./watch";

/** Asks the application of clusters, by the checks that the rolling update is given. */
export function applicationCheck(given: SettingsInput, clusters: readonly Manifest[], endpoint: string): Unwell {
  const settings = parseSettings(given);
  if (settings.application === undefined && Object.keys(settings.checks).length === 0) return async () => new Map();
  return async (watched) => {
    const unwell = new Map<string, string>();
    for (const manifest of clusters) {
      const { nodes } = manifest;
      const asked = nodes.filter(({ group }) => watched.some((node) => node.group === group));
      const { channel } = clusterConnection(manifest, endpoint);
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
