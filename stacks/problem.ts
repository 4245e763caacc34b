/** Something in a document that its author has to change. */
export interface Problem {
  /** As it was given on the command line, or relative to the working directory. */
  readonly file: string;
  /** Both count from 1. */
  readonly line: number;
  readonly column: number;
  /** What is wrong where in the document, and what would be right. */
  readonly message: string;
}

/** `problem` as compilers print theirs, so that editors and terminals link it. */
export function renderProblem({ file, line, column, message }: Problem): string {
  return `${file}:${line}:${column}: ${message}`;
}

/** Every problem of every document; nothing has been written. */
export class InvalidDeployments extends Error {
  public override readonly name = "InvalidDeployments";

  public constructor(public readonly problems: readonly Problem[]) {
    super(problems.map(renderProblem).join("\n"));
  }
}
