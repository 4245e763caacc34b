import type { Destinations, EgressRule } from "../worker-access/egress-rule";
import type { WorkerSecurityGroupProps } from "../worker-access/worker-security-group";
import { compact } from "./compact";
import type { FleetConfig } from "./fleet-keys";

type Egress = FleetConfig["egress"];

/** Where workers may connect to, in the words of their security group. */
export function egressProps(egress: Egress): Partial<WorkerSecurityGroupProps> {
  return {
    egress: Object.entries(egress.other).map(([name, other]) => egressRule(name, other)),
    ...compact({
      httpsCidrs: egress.https_cidrs,
      postgres: destinations(egress.postgres),
      starRocks: destinations(egress.starrocks),
      mysql: destinations(egress.mysql),
    }),
  };
}

function destinations(cidrs: readonly string[] | undefined): Destinations | undefined {
  return cidrs && { cidrs };
}

function egressRule(name: string, { description, from_port, to_port, cidrs }: Egress["other"][string]): EgressRule {
  return { name, description, port: { from: from_port, to: to_port ?? from_port }, to: { cidrs } };
}
