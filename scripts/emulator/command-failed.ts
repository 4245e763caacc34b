/** A command that ended with another status than 0. */
export class CommandFailed extends Error {
  public override readonly name = "CommandFailed";
  /** What it printed, on both streams. */
  public readonly output: string;

  public constructor(
    command: readonly string[],
    public readonly status: number,
    public readonly stdout: string,
    public readonly stderr: string,
  ) {
    const output = `${stdout}${stderr}`.trim();
    super(`${command.join(" ")} ended with status ${status}: ${output}`);
    this.output = output;
  }
}
