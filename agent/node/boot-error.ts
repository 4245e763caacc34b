export interface BootErrorDetails {
  /** Stable, for alarms and searches: "volume-held-by-live-instance". */
  readonly code: string;
  /** What is wrong and where. */
  readonly message: string;
  /** What the operator does next. */
  readonly remedy: string;
}

/** A finding that stops the boot of this node and that waiting does not change. */
export class BootError extends Error {
  override readonly name = "BootError";
  readonly code: string;
  readonly remedy: string;

  constructor({ code, message, remedy }: BootErrorDetails, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.remedy = remedy;
  }
}
