/** The program on a worker: `boot` turns the instance into one, `token` and `run` are its units. */
import { appendFileSync } from "node:fs";
import { readFile, readlink } from "node:fs/promises";
import { type Aws, awsClient } from "../host/aws";
import { run } from "../host/child";
import { roleCredentials } from "../host/credentials";
import { writeFileAtomic } from "../host/files";
import { dnsSuffix, type Imds, type InstanceIdentity, imdsClient, instanceIdentity } from "../host/imds";
import { createLog, type Log, reason } from "../host/log";
import { notifySystemd, watchdogPeriodMs } from "../host/systemd";
import { runAgent } from "./agent";
import { bootWorker } from "./bootstrap";
import { parseWorkerConfig, type WorkerConfig } from "./config";
import { controlPlaneClient } from "./control-plane-client";
import { fetchDeploymentToken } from "./deployment-token";
import { PATHS, TOKEN_CREDENTIAL } from "./paths";

/** Of the protocol's `agentVersion`; the launch template version is the release, this tells programs apart in a list. */
const AGENT_VERSION = "0.1.0";

/** Exit status of a boot that has given up by itself: the boot script has nothing to add. */
const GAVE_UP = 3;

interface Instance {
  readonly config: WorkerConfig;
  readonly imds: Imds;
  readonly identity: InstanceIdentity;
  readonly aws: Aws;
}

async function instance(): Promise<Instance> {
  const config = parseWorkerConfig(await readFile(PATHS.config, "utf8"));
  const imds = imdsClient();
  const identity = await instanceIdentity(imds);
  const credentials = roleCredentials(imds);
  const aws = awsClient({ region: identity.region, credentials, dnsSuffix: await dnsSuffix(imds) });
  return { config, imds, identity, aws };
}

async function boot(): Promise<number> {
  const log = createLog((line) => {
    process.stdout.write(line);
    appendFileSync(PATHS.bootLog, line);
  });
  return (await bootWorker({ ...(await instance()), log, run, root: "", node: process.argv0 })) ? 0 : GAVE_UP;
}

/** Fetches the deployment's token into memory, for systemd to hand to the agent as a credential. */
async function token(): Promise<number> {
  const { aws, config } = await instance();
  await writeFileAtomic(PATHS.token, await fetchDeploymentToken(aws, config.token), 0o600);
  return 0;
}

async function agent(): Promise<number> {
  const log = createLog();
  const { config, imds, identity, aws } = await instance();
  const stopped = new AbortController();
  process.on("SIGTERM", () => stopped.abort());

  await runAgent(
    config,
    {
      workerId: identity.instanceId,
      agentVersion: AGENT_VERSION,
      daemonVersion: await daemonVersion(),
      pool: config.pool,
      labels: config.labels ?? {},
      slots: config.slots,
      features: ["drain"],
    },
    {
      aws,
      imds,
      log,
      controlPlane: controlPlaneClient(config.controlPlaneUrl),
      deploymentToken: (anew) => deploymentToken(anew, aws, config, log),
      watchdogPeriodMs: watchdogPeriodMs(),
      notify: (state) => notifySystemd(state).catch((error) => log.warn("systemd not told", { reason: reason(error) })),
    },
    stopped.signal,
  );
  return 0;
}

async function deploymentToken(anew: boolean, aws: Aws, config: WorkerConfig, log: Log): Promise<string> {
  const credentials = process.env["CREDENTIALS_DIRECTORY"];
  const value =
    anew || !credentials
      ? await fetchDeploymentToken(aws, config.token)
      : (await readFile(`${credentials}/${TOKEN_CREDENTIAL}`, "utf8")).trim();
  log.redact(value);
  return value;
}

/** The version is the folder that the link points into; "none" where no daemon was installed. */
async function daemonVersion(): Promise<string> {
  return (await readlink(PATHS.daemon).catch(() => "none")).split("/").at(-2) ?? "none";
}

const commands: Readonly<Record<string, () => Promise<number>>> = { boot, token, run: agent };
const [name = ""] = process.argv.slice(2);
const command = commands[name];
if (!command) {
  console.error(`usage: worker.mjs ${Object.keys(commands).join(" | ")}`);
  process.exit(2);
}
command().then(
  (status) => process.exit(status),
  (error) => {
    console.error(reason(error));
    process.exit(1);
  },
);
