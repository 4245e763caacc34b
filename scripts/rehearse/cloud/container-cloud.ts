import { beforeEnd } from "../../before-end";
import { type EmulatedAws, type EmulatedAwsOptions, startEmulatedAws } from "../../emulator/emulated-aws";
import type { Machine, Notice } from "../../emulator/machines";
import { instanceMetadata } from "../../emulator/metadata/instance-metadata";
import { startMetadataServer } from "../../emulator/metadata/server";
import type { LeavesAt } from "../../emulator/metadata/service";
import { rememberingMachines } from "../../emulator/remembering-machines";
import { lastToFirst } from "../../last-to-first";
import { containerMachines } from "../machines/container-machines";
import { type Lab, openLab } from "../machines/lab";

/** An AWS on this machine whose instances are containers that boot the user data they were launched with. */
export interface ContainerCloud {
  readonly aws: EmulatedAws;
  readonly lab: Lab;
  /** CIDR in which VPC and subnets must lie. */
  readonly network: string;
  /** What stands for an instance; of one that has ended the console can still be read. */
  machineOf(instanceId: string): Machine | undefined;
  /** Announces something to an instance. @throws Error where no such instance runs. */
  notify(instanceId: string, notice: Notice): void;
  /** Ends and removes everything that was made. */
  close(): Promise<void>;
}

export interface ContainerCloudOptions extends Pick<EmulatedAwsOptions, "timings"> {
  /** Of `instanceImage`, with the packages of the cluster's software. */
  readonly image: string;
  /** Of every service in the instances, beside that which leads them to AWS. @default - none */
  readonly environment?: Readonly<Record<string, string>>;
}

/** The emulated AWS as instances see it, once it runs. */
interface Instances {
  readonly endpoint: string;
  readonly leavesAt: LeavesAt;
}

/** Containers are of this machine's kind. */
const ARCHITECTURE = process.arch === "arm64" ? "arm64" : "x86_64";

/**
 * Opens a lab and in it an emulated AWS with a metadata service: what Terraform applies to `aws.url` boots. All of it is removed by
 * {@link ContainerCloud.close}, by SIGINT, SIGTERM and SIGHUP, and after a kill by `holdfast rehearse clean`.
 *
 * @throws Error where this machine does not allow it (root is needed), or has no free network.
 */
export async function openContainerCloud(options: ContainerCloudOptions): Promise<ContainerCloud> {
  const lab = await openLab();
  const steps: (() => Promise<unknown>)[] = [() => lab.close()];
  const close = beforeEnd(() => lastToFirst(steps));
  try {
    let instances: Instances | undefined;
    const metadata = await startMetadataServer(lab.network.hostAddress, (address) => instances?.leavesAt(address));
    steps.push(() => metadata.stop());

    const known = new Map<string, Machine>();
    const machines = await containerMachines({
      lab,
      image: options.image,
      metadataPort: metadata.port,
      environment: () => ({ AWS_ENDPOINT_URL: instances?.endpoint ?? "", ...options.environment }),
    });
    const aws = await startEmulatedAws({
      host: lab.network.hostAddress,
      machines: (it) => {
        instances = { endpoint: it.url, leavesAt: instanceMetadata(it, ARCHITECTURE) };
        return rememberingMachines(machines, known);
      },
      ...(options.timings && { timings: options.timings }),
    });
    steps.push(() => aws.stop());
    await lab.adopt(aws.pid);
    return {
      aws,
      lab,
      network: lab.network.cidr,
      machineOf: (instanceId) => known.get(instanceId),
      notify: (instanceId, notice) => aws.notify(instanceId, notice),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
