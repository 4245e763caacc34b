import { applicationOf } from "../rolling-update/cli/application";
import { sdkConnection } from "../rolling-update/cli/sdk-connection";
import { systemClock } from "../rolling-update/clock";
import type { Manifest } from "../rolling-update/manifest";
import { parseSettings, type SettingsInput } from "../rolling-update/settings";
import type { Unwell } from "./watch";

/** Asks the application of clusters, by the checks that the rolling update is given. */
export function applicationCheck(given: SettingsInput, clusters: readonly Manifest[], endpoint: string): Unwell {
  const settings = parseSettings(given);
  if (settings.application === undefined && Object.keys(settings.checks).length === 0) return async () => new Map();
  const applications = clusters.map((manifest) => {
    const { nodes } = manifest;
    const { channel } = sdkConnection(manifest, { endpoint });
    return { nodes, probe: applicationOf(settings, { nodes, clock: systemClock, channel }).probe };
  });
  return async (watched) => {
    const unwell = new Map<string, string>();
    for (const { nodes, probe } of applications) {
      const asked = nodes.filter(({ group }) => watched.some((node) => node.group === group));
      const answers = await probe.health(asked);
      for (const node of asked) {
        const name = watched.find(({ group }) => group === node.group)?.name ?? node.id;
        const answer = answers.get(node.id);
        if (answer && !answer.ok) unwell.set(name, answer.reason);
      }
    }
    return unwell;
  };
}
