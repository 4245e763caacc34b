import type { EmulatedAws } from "../../emulator/emulated-aws";
import type { Machine } from "../../emulator/machines";
import type { Lab } from "../machines/lab";

/** Where a rehearsal takes place: an emulated AWS, and what stands for its instances. */
export interface Stage {
  readonly machines: "none" | "container";
  readonly aws: EmulatedAws;
  /** The network of /16 that every machine must have its address in; undefined where any will do. */
  readonly network: string | undefined;
  /** That machines are in; undefined where nothing runs that could be reached, or reach. */
  readonly lab: Lab | undefined;
  machineOf(instanceId: string): Machine | undefined;
  /** Tells an instance that EC2 takes it back, which it then does. */
  interrupt(instanceId: string, at: Date): void;
  /** Has whichever instance boots with one of these volumes take longer. @returns what ends it */
  slowBoots(volumeIds: readonly string[], ms: number): () => void;
  /** Has every boot fail, where no node config script could; undefined where one runs. @returns what ends it */
  readonly failBoots: (() => () => void) | undefined;
  /** What can be done inside; undefined where there is no inside. */
  readonly inside: Inside | undefined;
  close(): Promise<void>;
}

/** The operating system of an instance, from outside. */
export interface Inside {
  /** Parts it from these addresses, in both directions. @returns what joins them again */
  part(instanceId: string, addresses: readonly string[]): Promise<() => Promise<void>>;
  /** A program and its arguments that open a shell in it on this terminal. */
  shell(instanceId: string): readonly string[];
}
