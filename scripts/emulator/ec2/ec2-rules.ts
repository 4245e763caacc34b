import { AwsError } from "../aws-error";
import type { Scheduler } from "../scheduler";
import { Timeline } from "../timeline";

/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html */
export type InstanceState = "pending" | "running" | "shutting-down" | "terminated" | "stopping" | "stopped";

export interface InstanceRecord {
  readonly id: string;
  readonly state: InstanceState;
  /** Interfaces that existed before the instance, and stay when it goes. */
  readonly interfaceIds: readonly string[];
}

export interface InterfaceRecord {
  readonly id: string;
  readonly status: string;
  readonly instanceId?: string;
}

export interface VolumeRecord {
  readonly id: string;
  readonly state: string;
  readonly instanceId?: string;
}

/** What runs under an instance. Each method calls back once, when what it names has happened. */
export interface Hardware<R extends InstanceRecord> {
  start(instance: R, running: () => void): void;
  /** Shuts the operating system down; `gone` once nothing of the instance runs. */
  shutdown(instanceId: string, gone: () => void): void;
  /** Detaches the volumes of an instance that is gone. */
  detach(instanceId: string, volumeIds: readonly string[], free: () => void): void;
}

/** Whose interfaces and volumes are whose, from an instance's launch to its end. */
export class Ec2Rules<
  R extends InstanceRecord = InstanceRecord,
  I extends InterfaceRecord = InterfaceRecord,
  V extends VolumeRecord = VolumeRecord,
> {
  readonly instances = new Map<string, Timeline<R>>();
  readonly interfaces = new Map<string, Timeline<I>>();
  readonly volumes = new Map<string, Timeline<V>>();
  /** Told of every instance that has stopped running, whatever ended it. */
  onTerminated: (instanceId: string) => void = () => {};

  constructor(
    protected readonly scheduler: Scheduler,
    private readonly hardware: Hardware<R>,
  ) {}

  addInterface(record: I): void {
    this.interfaces.set(record.id, new Timeline(this.scheduler, record));
  }

  addVolume(record: V): void {
    this.volumes.set(record.id, new Timeline(this.scheduler, record));
  }

  /**
   * An interface belongs to one instance at a time, and the primary one stays until that instance is terminated.
   * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-eni.html
   *
   * @throws AwsError InvalidNetworkInterfaceID.NotFound, InvalidNetworkInterface.InUse
   */
  assertFree(interfaceIds: readonly string[]): void {
    for (const id of interfaceIds) {
      const card = this.interfaces.get(id)?.current;
      if (!card) {
        throw new AwsError("InvalidNetworkInterfaceID.NotFound", `The networkInterface ID '${id}' does not exist`);
      }
      if (card.status !== "available") {
        throw new AwsError("InvalidNetworkInterface.InUse", `Interface: [${id}] in use.`);
      }
    }
  }

  /** Starts an instance that is `pending`. @throws AwsError as {@link assertFree} does. */
  begin(instance: R): void {
    this.assertFree(instance.interfaceIds);
    this.instances.set(instance.id, new Timeline(this.scheduler, instance));
    for (const id of instance.interfaceIds) {
      this.interfaces.get(id)?.set({ status: "in-use", instanceId: instance.id } as Partial<I>);
    }
    this.hardware.start(instance, () => {
      if (this.is(instance.id, "pending")) this.#setState(instance.id, "running");
    });
  }

  /**
   * A volume is attached to one instance at a time.
   * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html
   *
   * @throws AwsError InvalidVolume.NotFound, InvalidInstanceID.NotFound, IncorrectState, VolumeInUse
   */
  attach(volumeId: string, instanceId: string): void {
    const volume = this.volumes.get(volumeId);
    if (!volume) throw new AwsError("InvalidVolume.NotFound", `The volume '${volumeId}' does not exist.`);
    const state = this.state(instanceId);
    if (state === undefined) {
      throw new AwsError("InvalidInstanceID.NotFound", `The instance ID '${instanceId}' does not exist`);
    }
    if (state !== "running" && state !== "stopped") {
      throw new AwsError("IncorrectState", `Instance '${instanceId}' is not 'running'.`);
    }
    if (volume.current.state === "in-use") {
      throw new AwsError(
        "VolumeInUse",
        volume.current.instanceId === instanceId
          ? `${volumeId} is already attached to an instance`
          : `Volume ${volumeId} is already attached to instance ${volume.current.instanceId}`,
      );
    }
    if (volume.current.state !== "available") {
      throw new AwsError("IncorrectState", `Volume '${volumeId}' is in the '${volume.current.state}' state.`);
    }
    volume.set({ state: "in-use", instanceId } as Partial<V>);
  }

  /** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DetachVolume.html */
  detach(volumeId: string): void {
    this.volumes.get(volumeId)?.set({ state: "available", instanceId: undefined } as Partial<V>);
  }

  /**
   * Terminating is idempotent; interface and volumes come free when the instance is gone, not before. Nothing limits how
   * long the operating system takes.
   * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/terminating-instances.html
   */
  terminate(id: string): void {
    const state = this.state(id);
    if (state === undefined || state === "shutting-down" || state === "terminated") return;
    this.#setState(id, "shutting-down");
    this.hardware.shutdown(id, () => this.#gone(id));
  }

  state(id: string): InstanceState | undefined {
    return this.instances.get(id)?.current.state;
  }

  /** The volumes that are attached to an instance. */
  volumesOf(instanceId: string): string[] {
    return [...this.volumes.values()].flatMap(({ current }) =>
      current.state === "in-use" && current.instanceId === instanceId ? current.id : [],
    );
  }

  protected is(id: string, state: InstanceState): boolean {
    return this.state(id) === state;
  }

  #setState(id: string, state: InstanceState): void {
    this.instances.get(id)?.set({ state } as Partial<R>);
  }

  #gone(id: string): void {
    if (this.is(id, "terminated")) return;
    this.#setState(id, "terminated");
    for (const interfaceId of this.instances.get(id)?.current.interfaceIds ?? []) {
      this.interfaces.get(interfaceId)?.set({ status: "available", instanceId: undefined } as Partial<I>);
    }
    this.hardware.detach(id, this.volumesOf(id), () => {
      for (const volumeId of this.volumesOf(id)) this.detach(volumeId);
    });
    this.onTerminated(id);
  }
}
