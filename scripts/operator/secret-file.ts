import { randomUUID } from "node:crypto";
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readlinkSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, dirname, isAbsolute, join } from "node:path";
import { isatty } from "node:tty";
import { untilEnded } from "../until-ended";

/** More than any secret is long, so that a disk that is full says so before there is one. */
const RESERVED_BYTES = 4_096;
const MAX_LINKS = 40;
const STICKY = 0o1000;

/** A place where a secret will be put. */
export interface SecretFile {
  /** Puts it there, as a line. @throws Error of the file system; then it is nowhere. */
  put(secret: string): void;
  /** Ends this: what was prepared and not used is removed. */
  close(): void;
}

/** Whether a path leads to this program's standard output, as /dev/stdout does. */
export function isStandardOutput(path: string): boolean {
  try {
    const [named, own] = [statSync(path), fstatSync(1)];
    return named.dev === own.dev && named.ino === own.ino;
  } catch {
    return false;
  }
}

/**
 * Prepares a file for a secret that is yet to be made, and tries what could fail once it is made. The file stays as it is until the
 * secret takes its place at once, readable by its owner alone; links are followed. Into a pipe or a device is written as it is.
 *
 * @throws Error that says why the secret could not be put there.
 */
export function prepareSecretFile(path: string): SecretFile {
  const present = statSync(path, { throwIfNoEntry: false });
  if (present?.isDirectory() || /(^|\/)$/.test(path)) throw new Error("it is a folder");
  if (present && !present.isFile()) return into(path);
  const target = followed(path);
  return inPlaceOf(target, statSync(target, { throwIfNoEntry: false }));
}

function into(device: string): SecretFile {
  const descriptor = openSync(device, constants.O_WRONLY | constants.O_NOCTTY);
  if (isatty(descriptor)) {
    closeSync(descriptor);
    throw new Error("a secret is not written to a terminal");
  }
  return {
    put: (secret) => writeFileSync(descriptor, `${secret}\n`),
    close: () => closeSync(descriptor),
  };
}

function inPlaceOf(target: string, present: Stats | undefined): SecretFile {
  const draft = join(dirname(target), `.holdfast-${randomUUID()}`);
  const descriptor = openSync(draft, "wx", 0o600);
  const removeDraft = untilEnded(() => rmSync(draft, { force: true }));
  const close = () => {
    closeSync(descriptor);
    removeDraft();
  };
  try {
    if (present) keepOwner(descriptor, present);
    writeSync(descriptor, Buffer.alloc(RESERVED_BYTES));
    fsyncSync(descriptor);
  } catch (error) {
    close();
    throw error;
  }
  return {
    put: (secret) => {
      const length = writeSync(descriptor, `${secret}\n`, 0);
      ftruncateSync(descriptor, length);
      fsyncSync(descriptor);
      renameSync(draft, target);
    },
    close,
  };
}

/** Whose file it is must be able to read it afterwards; root alone can give a file away. */
function keepOwner(descriptor: number, { uid, gid }: Stats): void {
  if (uid === fstatSync(descriptor).uid) return;
  try {
    fchownSync(descriptor, uid, gid);
  } catch {
    throw new Error("the file that is there is somebody else's");
  }
}

/**
 * Where a path's links lead, whether anything is there or not. Only the last part of the path is looked at: the system follows the
 * others as it may.
 */
function followed(path: string): string {
  let target = path;
  for (let links = 0; links < MAX_LINKS; links += 1) {
    const entry = lstatSync(target, { throwIfNoEntry: false });
    if (entry) refuseForeign(entry, dirname(target));
    if (!entry?.isSymbolicLink()) return target;
    const next = readlinkSync(target);
    // Put together as it stands: the system has `..` mean the parent of what a link leads to.
    target = isAbsolute(next) ? next : `${dirname(target)}/${next}`;
  }
  throw new Error(`the links of ${basename(path)} lead nowhere`);
}

/** What others put into a folder such as /tmp, where everybody may, can be meant to lead a secret astray. */
function refuseForeign({ uid }: Stats, folder: string): void {
  if ((statSync(folder).mode & STICKY) === 0 || uid === process.geteuid?.()) return;
  throw new Error("what is there is somebody else's, in a folder that all may write to");
}
