/** What went wrong with an operator's command: a stable code, what happened and where, and what to do next. */
export class OperatorError extends Error {
  override readonly name = "OperatorError";
  constructor(
    readonly code: string,
    message: string,
    readonly more: { readonly where?: string; readonly next?: string } = {},
  ) {
    super(message);
  }

  /** The same with what is to be done next, where nothing is said of it. */
  elseNext(next: string): OperatorError {
    return this.more.next === undefined ? new OperatorError(this.code, this.message, { ...this.more, next }) : this;
  }

  get data(): Record<string, unknown> {
    return { code: this.code, message: this.message, ...this.more };
  }

  get text(): string {
    const { where, next } = this.more;
    return [
      `${this.code}: ${this.message}`,
      ...(where === undefined ? [] : [`  where: ${where}`]),
      ...(next === undefined ? [] : [`  next: ${next}`]),
    ].join("\n");
  }
}
