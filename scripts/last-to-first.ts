/**
 * Takes down what was built up: does the steps in the opposite order, each whatever became of the others.
 *
 * @throws what the first step that failed did, once all are done
 */
export async function lastToFirst(steps: readonly (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of [...steps].reverse()) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
