import type { FleetConfig } from "./fleet-keys";

/** Where a fleet's instances fetch the worker agent: beside the daemon, unless the document says otherwise. */
export function agentRelease({ agent_release, daemon_release }: Pick<FleetConfig, "agent_release" | "daemon_release">) {
  return {
    bucket: agent_release.bucket ?? daemon_release.bucket,
    region: agent_release.region ?? daemon_release.region,
    keyPrefix: `${agent_release.key_prefix}/`,
  };
}

/** Every bucket that instances fetch releases from, once. */
export function releaseBuckets(settings: Pick<FleetConfig, "agent_release" | "daemon_release">) {
  const agent = agentRelease(settings);
  const daemon = { name: settings.daemon_release.bucket, region: settings.daemon_release.region };
  return agent.bucket === daemon.name ? [daemon] : [daemon, { name: agent.bucket, region: agent.region }];
}
