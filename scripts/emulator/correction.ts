import type { AwsError } from "./aws-error";
import type { Tree } from "./tree";

/** The services whose calls can be corrected, as their requests are signed for them. */
export type CorrectedService = "autoscaling" | "ec2" | "logs" | "ssm";

export interface AwsRequest {
  /** The region that the request is signed for. */
  readonly region: string;
  readonly parameters: Tree;
}

/**
 * One behaviour of AWS that the emulator behind lacks. Each server makes its own, which keeps what it must remember to itself
 * and only in memory.
 */
export interface Correction {
  readonly service: CorrectedService;
  /** Asked before every action of the service: the error to answer with, or undefined to go on. */
  readonly refuses?: (action: string, request: AwsRequest) => AwsError | undefined;
  /** By action: the result of what the emulator behind is not asked. @throws AwsError, which becomes the answer. */
  readonly replies?: Readonly<Record<string, (request: AwsRequest) => Promise<Tree>>>;
  /** By action: gives the parameters to pass on in place of a request's own. */
  readonly requests?: Readonly<Record<string, (request: AwsRequest) => Tree>>;
  /** By action: takes note of a request that has succeeded, and gives the result to answer with. */
  readonly answers?: Readonly<Record<string, (result: Tree, request: AwsRequest) => Tree>>;
}
