import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { EC2Client } from "@aws-sdk/client-ec2";
import { type Terraform, terraformIn } from "../emulator/terraform";
import { type Manifest, parseManifest } from "../rolling-update/manifest";
import type { SettingsInput } from "../rolling-update/settings";
import { applicationCheck } from "./application-check";
import { Chapters, type Told } from "./chapters";
import { Consoles } from "./consoles";
import type { Controlled } from "./control/control-server";
import { bundlePrograms } from "./deployment/bundled";
import type { Deployment, Written } from "./deployment/deployment";
import { eventChapter } from "./events/event-chapter";
import type { Fleet, FleetDials } from "./fleet/fleet";
import { beginJobs, bringFleet, compareRows } from "./fleet/fleet-chapters";
import { JobsWatch } from "./fleet/jobs-watch";
import { readGroups } from "./groups";
import { onlyEmulatedAws } from "./only-emulated";
import type { Output } from "./output";
import type { Rehearsal } from "./rehearsal";
import type { Scenario } from "./scenario/scenario";
import type { Stage } from "./stage/stage";
import type { Story } from "./story/story";
import { Watch } from "./watch";
import { commandWrite, keepWriting, readBack } from "./writer";

export interface RunOptions {
  readonly deployment: Deployment;
  readonly scenario: Scenario;
  readonly stage: Stage;
  readonly story: Story;
  readonly output: Output;
  /** Told what is different here from where the deployment belongs. */
  readonly remark: (text: string) => void;
  /** Ends it: what has happened so far is kept. */
  readonly signal: AbortSignal;
  /** Called before anything is made, with what can be asked of it and set in it from then on. */
  readonly begin?: (controlled: Controlled) => Promise<void>;
  /** Once the last event is over; what it waits for keeps everything up. */
  readonly afterwards?: () => Promise<void>;
}

/** How often groups are looked at: a machine that boots in a second is to be seen booting. */
const POLL_MS = 150;

const CREDENTIALS = { accessKeyId: "emulator", secretAccessKey: "emulator" };

/** Of a rehearsal, over in minutes. */
const HURRIED: SettingsInput = { pollMs: 500, successes: 1 };

/**
 * Plans, applies, waits until everything is in service, and lets every event happen.
 *
 * @throws WrongUse where the deployment is not sound, and where it was interrupted; failures of the deployment are told in the story
 */
export async function rehearse(options: RunOptions): Promise<void> {
  const { deployment, scenario, stage, story, signal, output } = options;
  const { name, region } = deployment;
  const scratch = mkdtempSync(join(tmpdir(), "holdfast-rehearsal-"));
  const giveBack = onlyEmulatedAws(stage.aws.url);
  const consoles = new Consoles(stage);
  const watching = new AbortController();
  let watched: Promise<unknown> = Promise.resolve();
  let fleet: Fleet | undefined;
  const ended = new AbortController();
  let writing: Promise<readonly number[]> = Promise.resolve([]);
  try {
    const client = { endpoint: stage.aws.url, region, credentials: CREDENTIALS };
    const autoScaling = new AutoScalingClient(client);
    const watchSignal = AbortSignal.any([signal, watching.signal]);
    const watch = new Watch({
      story,
      read: () => readGroups(autoScaling, name),
      onInstance: (node, instance) => consoles.note(node, instance),
      signal: watchSignal,
      pollMs: POLL_MS,
    });
    await options.begin?.({ watch, stage, story, autoScaling, consoles });
    const chapters = new Chapters(story);
    await bundlePrograms(signal);
    const brought = await bringFleet(options, chapters);
    if (brought === undefined) return;
    fleet = brought.fleet;
    const planned = await chapters.tell("plan", () => plan(options, scratch, fleet?.dials));
    if (planned === undefined) return;
    const { written, terraform } = planned;
    for (const text of written.remarks) options.remark(text);
    const jobs = fleet && new JobsWatch({ replication: fleet.replication, watch, story, signal: watchSignal });
    watched = Promise.all([watch.run(), jobs?.run()]);
    const clusters = await chapters.tell("apply", () => apply(planned));
    if (clusters === undefined) return;

    const { deadlineMs } = scenario;
    const limits = { gateTimeoutMs: deadlineMs, launchTimeoutMs: deadlineMs, healthTimeoutMs: deadlineMs };
    const settings = { ...HURRIED, ...limits, ...scenario.roll };
    watch.unwell = applicationCheck(settings, clusters, stage.aws.url);
    const rehearsal: Rehearsal = {
      story,
      stage,
      watch,
      region,
      ec2: new EC2Client(client),
      autoScaling,
      terraform,
      written,
      clusters,
      fleet: fleet && jobs && { ...fleet, jobs },
      settings,
      deadlineMs,
      signal,
    };

    const booted = await chapters.tell("boot", async () => {
      const isWell = await watch.until(() => watch.allWell, scenario.deadlineMs);
      return {
        made: isWell,
        checks: [{ ok: isWell, text: `${watch.serving} of ${watch.wanted} nodes are in service` }],
      };
    });
    const { writer } = scenario;
    if (writer) writing = keepWriting(commandWrite(writer, ended.signal), writer.everyMs, story, ended.signal);
    if (booted && (await beginJobs(rehearsal, chapters))) {
      for (const event of scenario.events) await eventChapter(rehearsal, chapters, event);
      await compareRows(rehearsal, chapters);
    }
    ended.abort();
    const read = writer?.read;
    if (read) {
      await chapters.tell("read back", async () => {
        const check = await readBack(read, await writing, signal);
        return { made: undefined, checks: [check] };
      });
    }
    await options.afterwards?.();
  } finally {
    watching.abort();
    ended.abort();
    await Promise.all([watched, writing]);
    await fleet?.stop();
    await consoles.writeTo(output);
    giveBack();
    rmSync(scratch, { recursive: true, force: true });
  }
}

interface Planned {
  readonly written: Written;
  readonly terraform: Terraform;
}

async function plan(
  { deployment, stage, signal }: RunOptions,
  directory: string,
  dials: FleetDials | undefined,
): Promise<Told<Planned>> {
  const { aws, network } = stage;
  const written = await deployment.write({ directory, url: aws.url, network, dials, signal });
  const terraform = terraformIn(written.directory, aws, { signal });
  await terraform.init();
  written.tellClusters();
  const { changes } = await terraform.plan();
  const count = changes.filter(({ change }) => change.actions.includes("create")).length;
  return { made: { written, terraform }, checks: [{ ok: count > 0, text: `${count} resources to add` }] };
}

/** @returns the clusters that there are now */
async function apply({ written, terraform }: Planned): Promise<Told<readonly Manifest[]>> {
  await terraform.apply("holdfast.tfplan");
  const addresses = await terraform.state();
  const made = written.manifests(await terraform.outputs()).map((text) => parseManifest(JSON.parse(text)));
  const resources = addresses.filter((address) => !/(^|\.)data\./.test(address)).length;
  return { made, checks: [{ ok: true, text: `${resources} resources` }] };
}
