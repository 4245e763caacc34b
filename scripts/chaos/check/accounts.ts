/** A job as the control plane tells it. */
export interface AccountedJob {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly fence: number;
  readonly workerId: string | null;
  readonly lastError: string | null;
}

/** A daemon that is alive on a worker. */
export interface AccountedDaemon {
  readonly worker: string;
  readonly jobId: string;
  readonly fence: number;
}

/**
 * Whether every job is accounted for once all is healed: it runs, on one worker, whose one daemon for it has the job's newest fence, and that
 * is the fence the sink knows.
 *
 * @param created ids of all jobs that were ever created.
 * @param sinkFences largest fence that claimed the job's slot, by the job's id.
 */
export function accountForJobs(
  created: readonly string[],
  jobs: readonly AccountedJob[],
  daemons: readonly AccountedDaemon[],
  sinkFences: ReadonlyMap<string, bigint>,
): readonly string[] {
  const faults = created.flatMap((id) => {
    const job = jobs.find((listed) => listed.id === id);
    if (!job) return [`job ${id} is not known any more`];
    const { name, state, fence, workerId } = job;
    if (state !== "running") {
      return [`${name} is ${state}${job.lastError === null ? "" : `: ${job.lastError.trim().slice(0, 300)}`}`];
    }
    const own = daemons.filter(({ jobId }) => jobId === id);
    const [daemon] = own;
    if (own.length !== 1 || !daemon) {
      const where = own.map((one) => `${one.worker} (fence ${one.fence})`).join(", ") || "nowhere";
      return [`${name} should have one daemon and has ${own.length}: ${where}`];
    }
    if (daemon.worker !== workerId || daemon.fence !== fence) {
      return [
        `${name} runs on ${daemon.worker} under fence ${daemon.fence}, and was given to ${workerId} under ${fence}`,
      ];
    }
    const written = sinkFences.get(id);
    return written === BigInt(fence) ? [] : [`${name} has fence ${fence}, and the sink was claimed with ${written}`];
  });
  const strangers = [
    ...jobs.filter(({ id }) => !created.includes(id)).map(({ name }) => `job ${name} was never created`),
    ...daemons
      .filter(({ jobId }) => !created.includes(jobId))
      .map(({ worker, jobId }) => `${worker} runs a daemon of job ${jobId}, which was never created`),
  ];
  return [...faults, ...strangers];
}
