/** What runs containers. Podman and Docker have most of their words in common; this is where they differ. */
export interface Engine {
  readonly name: "podman" | "docker";
  /** Programs that it needs. */
  readonly commands: readonly string[];
  /** Runs it. @returns what it printed. @throws CommandFailed */
  run(...args: string[]): Promise<string>;
  hasImage(image: string): Promise<boolean>;
  /** Whether a container lives in a network namespace that is there before it, or in one that comes and goes with its first process. */
  readonly namespace: "given" | "own";
  /** Arguments of `create` for systemd as the first process. @param namespace path of the given one */
  readonly createArguments: (namespace: string | undefined) => readonly string[];
  /** What a container runs in place of what its image says. */
  readonly program: readonly string[];
  /** Starts a container; `prepare` is over before systemd runs. @returns its first process */
  start(name: string, prepare: (pid: number) => Promise<void>): Promise<number>;
  /** Removes a container, whether it runs, has ended, or is gone already. */
  remove(name: string): Promise<void>;
  /** A program and its arguments that open a shell in a container on this terminal. */
  shell(name: string): readonly string[];
}
