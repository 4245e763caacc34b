/** What a person has to change before anything can be rehearsed: nothing has been made yet. */
export class WrongUse extends Error {
  public override readonly name = "WrongUse";

  /** @param next what to do about it */
  constructor(
    message: string,
    readonly next: string,
  ) {
    super(message);
  }
}
