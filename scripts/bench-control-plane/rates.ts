/** Jobs per second, round by round. */
export class Rates {
  readonly perSecond: number[] = [];

  /** @param drain how long so many jobs take, in ms */
  constructor(
    readonly name: string,
    private readonly jobs: number,
    private readonly drain: () => Promise<number>,
  ) {}

  /** One more round. */
  async measure(): Promise<void> {
    this.perSecond.push((this.jobs * 1_000) / (await this.drain()));
  }

  /** Of each round that both have, how often the other's rate this one is: what slows the machine slows both. */
  besides(other: Rates): number[] {
    return this.perSecond.flatMap((rate, round) => {
      const beside = other.perSecond[round];
      return beside === undefined ? [] : [rate / beside];
    });
  }
}
