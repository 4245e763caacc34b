import { readFileSync } from "node:fs";

/** Of a process beside its connections: what it has open anyway, and other connections for a moment. */
const RESERVE = 500;

/** How many files, connections among them, a process may have open; Node.js takes the hard limit. */
export function openFilesLimit(limits = readFileSync("/proc/self/limits", "utf8")): number {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1];
  return hard === "unlimited" ? Number.POSITIVE_INFINITY : Number(hard);
}

/** How many of so many connections one process may have. */
export const connectionsWithin = (wanted: number, limit = openFilesLimit()): number =>
  Math.max(0, Math.min(wanted, limit - RESERVE));

/** Among how many processes so many files are to be divided. */
export const processesFor = (files: number, limit = openFilesLimit()): number =>
  Math.max(1, Math.ceil(files / (limit - RESERVE)));

/** @throws Error where one process may not have so many connections, with what to do */
export function requireConnections(wanted: number, limit = openFilesLimit()): void {
  if (connectionsWithin(wanted, limit) === wanted) return;
  const needed = wanted + RESERVE;
  throw new Error(
    `this needs ${needed} open files in one process, of which ${limit} are allowed: ulimit -Hn ${needed}`,
  );
}
