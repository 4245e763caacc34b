/** An action that AWS refuses, with the code and the sentence that it answers with. */
export class AwsError extends Error {
  public override readonly name = "AwsError";

  constructor(
    readonly code: string,
    message: string,
    /** HTTP status of the answer. */
    readonly status = 400,
  ) {
    super(message);
  }
}

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/CommonErrors.html */
export function validationError(message: string): AwsError {
  return new AwsError("ValidationError", message);
}
