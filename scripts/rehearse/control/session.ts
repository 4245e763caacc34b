import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { identityOf, lives } from "../machines/owner";
import { WrongUse } from "../wrong-use";

/** One place, so that a second program finds what runs: FHS wants such in /var/tmp. */
const SESSIONS = "/var/tmp/holdfast-rehearsals";

const sessionSchema = z.strictObject({ deployment: z.string(), url: z.string(), owner: z.string() });

/** A rehearsal that runs: which deployment, and where it is asked. */
export type Session = z.infer<typeof sessionSchema>;

/** Lets other programs find this one. @returns what ends that */
export async function announce(deployment: string, url: string, directory = SESSIONS): Promise<() => void> {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${process.pid}-${new URL(url).port}.json`);
  const session: Session = { deployment, url, owner: await identityOf(process.pid) };
  writeFileSync(file, JSON.stringify(session));
  return () => rmSync(file, { force: true });
}

/**
 * The rehearsal that runs, or of several that of `deployment`. What a program left that was killed is removed.
 *
 * @throws WrongUse where none runs, or it is not clear which is meant
 */
export async function findSession(deployment: string | undefined, directory = SESSIONS): Promise<Session> {
  const running: Session[] = [];
  for (const name of listed(directory)) {
    const file = join(directory, name);
    const parsed = sessionSchema.safeParse(JSON.parse(readFileSync(file, "utf8")));
    if (parsed.success && (await lives(parsed.data.owner))) running.push(parsed.data);
    else rmSync(file, { force: true });
  }
  const meant = running.filter((session) => deployment === undefined || session.deployment === deployment);
  const [found, ...more] = meant;
  const names = running.map((session) => session.deployment).join(", ");
  if (found === undefined) {
    throw new WrongUse(
      deployment === undefined || names === "" ? "no rehearsal runs" : `no rehearsal of ${deployment} runs`,
      names === "" ? "start one that stays: holdfast rehearse DEPLOYMENT --keep" : `there are rehearsals of ${names}`,
    );
  }
  if (more.length > 0) throw new WrongUse(`several rehearsals run: ${names}`, "name one with --of DEPLOYMENT");
  return found;
}

function listed(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => name.endsWith(".json"));
  } catch {
    return [];
  }
}
