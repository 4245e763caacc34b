/**
 * The reference daemon: copies tables from one PostgreSQL to another and keeps them equal. One job per process, configured by its environment
 * alone and steered over HTTP, in the contract of dbmazz, so that an agent can run either.
 */
import { createLog, reason } from "../host/log";
import { type DaemonConfiguration, parseEnvironment } from "./configuration";
import { controlApi, serveControlApi } from "./control-api";
import { runDaemon, statusWhenAsked } from "./daemon";
import { EXIT, exitStatus } from "./failure";
import { Lifecycle } from "./lifecycle";
import { startSampler } from "./metrics";

/** A process that was told to end does so, whatever a server is doing; what it did not commit is rolled back there. */
const END_DEADLINE_MS = 2_000;

const HELP = `usage: daemon.mjs

Copies tables from one PostgreSQL to another and keeps them equal. It takes no arguments; the environment is the job:

  SOURCE_URL=postgres://replicator@source/shop TABLES=orders,order_items DO_SNAPSHOT=true \\
  SINK_URL=postgres://writer@sink/copy node daemon.mjs

docs/reference-daemon.md describes every variable, the HTTP API and the exit statuses.
`;

async function main(): Promise<number> {
  const log = createLog();
  if (process.argv.length > 2) {
    process.stdout.write(HELP);
    return process.argv[2] === "--help" ? EXIT.asked : EXIT.setup;
  }
  const configuration = parseEnvironment(process.env);
  for (const secret of secretsOf(configuration)) log.redact(secret);

  const lifecycle = new Lifecycle();
  const sampler = startSampler(lifecycle);
  const tables = configuration.source.tables.map(({ label }) => label);
  const { slotName } = configuration.source;
  const app = controlApi({ slotName, tables, lifecycle, latestSample: () => sampler.latest });
  const server = await serveControlApi(app, configuration.controlPort);
  log.info("control API listens", { port: server.port, slot: slotName, tables });

  const quit = () => process.exit(lifecycle.dropSlot ? EXIT.again : statusWhenAsked(configuration, lifecycle));
  const hurry = () => void setTimeout(quit, END_DEADLINE_MS).unref();
  const stop = () => {
    hurry();
    lifecycle.command("stop");
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  try {
    return await runDaemon(configuration, lifecycle, log);
  } finally {
    sampler.stop();
    log.info("ended", { state: lifecycle.state });
    await server.close();
  }
}

function secretsOf({ source, sink }: DaemonConfiguration): string[] {
  return [source.url, sink.url].flatMap((url) => {
    const { password } = new URL(url);
    return [password, decodeURIComponent(password)];
  });
}

main().then(
  (status) => process.exit(status),
  (error) => {
    process.stderr.write(`Error: ${reason(error)}\n`);
    process.exit(exitStatus(error));
  },
);
