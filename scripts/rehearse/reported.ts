import type { Output } from "./output";
import type { Rehearsed, Report } from "./story/report";
import { WrongUse } from "./wrong-use";

/** How a rehearsal may be ended from outside. */
export interface Ending {
  readonly signal: AbortSignal;
  /** Whether it stays until it is ended, which is no interruption then. */
  readonly stays: boolean;
}

/**
 * Rehearses, and writes the report however that ends.
 *
 * @param work is given what takes note of something that is different here from where the deployment belongs
 * @throws WrongUse, without a report; and what went wrong with the rehearsal itself, which the report then says
 */
export async function reported(
  output: Output,
  rehearsed: Omit<Rehearsed, "interrupted" | "failure">,
  { signal, stays }: Ending,
  work: (remark: (text: string) => void) => Promise<void>,
): Promise<Report> {
  const remarks = [...rehearsed.remarks];
  const write = (failure?: string) =>
    output.writeReport({ ...rehearsed, remarks, interrupted: signal.aborted && !stays, failure });
  try {
    await work((text) => remarks.push(text));
  } catch (error) {
    if (error instanceof WrongUse) throw error;
    if (!signal.aborted) {
      write(error instanceof Error ? error.message : String(error));
      throw error;
    }
  }
  return write();
}
