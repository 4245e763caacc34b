/** An instance as EC2 has just launched it. */
export interface LaunchedInstance {
  readonly id: string;
  readonly imageId: string;
  readonly hostname: string;
  readonly privateIp: string;
  /** Of the primary interface: a fixed interface keeps it, so peers need not learn a new one. */
  readonly macAddress: string;
}

/** What stands for an instance while it runs: nothing at all, a container, a virtual machine. */
export interface Machine {
  /** Resolves once it runs no longer, whatever ended it. */
  readonly ended: Promise<void>;
  /** The operating system's own shutdown, then the end; EC2 sets no limit to how long it takes. */
  shutdown(): Promise<void>;
  /** A power cut. */
  kill(): Promise<void>;
  reboot(): Promise<void>;
  /** Makes a volume appear while the machine runs, under the name that EC2 gives it. @throws Error where it is attached elsewhere. */
  attach(volumeId: string, device: string): Promise<void>;
  detach(volumeId: string): Promise<void>;
  /** What `GetConsoleOutput` shows. */
  console(): Promise<string>;
  /** Runs a command inside as root; what it printed. @throws Error with its output where it fails. */
  exec(...command: string[]): Promise<string>;
}

/** A kind of machine. */
export interface Machines {
  start(instance: LaunchedInstance): Promise<Machine>;
  /** Blank storage of the volume's size, kept until {@link deleteVolume}: machines come and go. */
  createVolume(volumeId: string, sizeGiB: number): Promise<void>;
  /** Grows a volume, also while it is attached. */
  growVolume(volumeId: string, sizeGiB: number): Promise<void>;
  deleteVolume(volumeId: string): Promise<void>;
  /** Ends and removes everything that this object has made. */
  stop(): Promise<void>;
}
