/** AWS takes 100 group names, and 200 filter values, in one call. */
export const NAMES_PER_CALL = 100;

/** As many calls as the names need, one after the other, and all their answers. */
export async function inChunks<T>(
  names: readonly string[],
  call: (chunk: string[]) => Promise<readonly T[]>,
): Promise<T[]> {
  const answers: T[] = [];
  for (let start = 0; start < names.length; start += NAMES_PER_CALL) {
    answers.push(...(await call(names.slice(start, start + NAMES_PER_CALL))));
  }
  return answers;
}
