import { closeSync, constants, openSync, writeSync } from "node:fs";
import { run } from "../../host/child";

/**
 * A second process in the daemon's group, which ends the group once the lease is over that it heard of last, whatever has become
 * of the agent. It hears of leases through a pipe, as seconds that are left, and counts them by the wall clock and by its own
 * waiting, of which the larger counts. It starts nothing while it waits. `$$` is the daemon.
 *
 * On a busy machine a second may end in the middle of a word. What was read of it is kept for the next; Bash 3.2, which drops it,
 * knows by the missing sign that it holds the end of a word, which would be a shorter lease.
 */
export const LEASH = `{
  trap '' TERM
  read -r left <&3
  waited=0 end=$((SECONDS + left)) word=
  while ((waited < left && SECONDS < end)); do
    if new= && read -r -t 1 new <&3; then
      word+=$new
      if [[ $word == +* ]]; then left=$word waited=0 end=$((SECONDS + left)); fi
      word=
    else
      word+=$new
      ((++waited))
    fi
  done
  kill -TERM -$$
  sleep 1
  kill -KILL -$$
} </dev/null >/dev/null 2>&1 &`;

/** Seconds as the leash counts them, which may begin in the middle of one. */
const word = (leftMs: number) => `+${leftMs <= 0 ? 0 : Math.ceil(leftMs / 1_000) + 1}\n`;

/**
 * Makes the pipe, with the first word in it.
 *
 * @param leftMs asked for once the pipe is there, from when on `tellLeash` reaches it.
 * @returns its descriptor, for the leash to read from.
 */
export async function makeLeash(path: string, leftMs: () => number): Promise<number> {
  await run("mkfifo", ["-m", "600", path], { timeoutMs: 10_000 });
  const pipe = openSync(path, constants.O_RDWR);
  writeSync(pipe, word(leftMs()));
  return pipe;
}

/** Says how long the daemon may still run; 0 ends the leash, and what is left of its daemon. */
export function tellLeash(path: string, leftMs: number): void {
  let pipe: number | undefined;
  try {
    pipe = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    writeSync(pipe, word(leftMs));
  } catch {
    // Nobody listens any more: daemon and leash have ended.
  } finally {
    if (pipe !== undefined) closeSync(pipe);
  }
}
