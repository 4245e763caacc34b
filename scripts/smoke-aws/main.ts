/**
 * `npm run smoke:aws`: the rolling update's commands on a real account. Opt-in, and no part of any test run: it needs
 * credentials, and a cluster.
 */
import { USAGE } from "../command-line";
import { awsSurroundings } from "../rolling-update/cli/aws-surroundings";
import { EXIT } from "../rolling-update/cli/exit-codes";
import { smoke } from "./smoke";

const HELP = `usage: HOLDFAST_AWS_SMOKE=<manifest> [HOLDFAST_AWS_SMOKE_REPLACE=<node>] npm run --silent smoke:aws [-- <options of roll run>]

HOLDFAST_AWS_SMOKE          the cluster's manifest: a plan of it is made, and nothing changed
HOLDFAST_AWS_SMOKE_REPLACE  the id of the one node that is replaced as well

Examples:
  $ HOLDFAST_AWS_SMOKE=orders.json npm run --silent smoke:aws
  $ HOLDFAST_AWS_SMOKE=orders.json HOLDFAST_AWS_SMOKE_REPLACE=02 npm run --silent smoke:aws -- --check-tcp 2379 > smoke.ndjson
`;

async function main(): Promise<number> {
  const { HOLDFAST_AWS_SMOKE: cluster, HOLDFAST_AWS_SMOKE_REPLACE: replace } = process.env;
  if (!cluster) {
    process.stderr.write(HELP);
    return USAGE;
  }
  const options = process.argv.slice(2);
  const report = await smoke(awsSurroundings, { cluster, ...(replace ? { replace } : {}), options });
  process.stdout.write(`${JSON.stringify({ report })}\n`);
  process.stderr.write(report.passed ? "passed\n" : "FAILED: the last events say why\n");
  return report.passed ? EXIT.done : EXIT.nodeFailed;
}

void main().then((code) => {
  process.exitCode = code;
});
