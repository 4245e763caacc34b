/**
 * Creates so many jobs, each when the task of the one before has started.
 *
 * @param {number} jobs
 * @param {(started: () => void) => Promise<unknown>} create told what to call when the job's task starts
 * @returns {Promise<number[]>} how long each took from before its creation to the start of its task, in ms
 */
export async function oneAfterTheOther(jobs, create) {
  const tookMs = [];
  for (let index = 0; index < jobs; index++) {
    const { promise: begun, resolve: started } = Promise.withResolvers();
    const at = performance.now();
    await create(started);
    await begun;
    tookMs.push(performance.now() - at);
  }
  return tookMs;
}
