import { join } from "node:path";

/** Where this machine sees `path` of the machine whose first process is `pid`, in the root directory of that process. */
export const inMachine = (pid: number, path: string): string => join("/proc", String(pid), "root", path);
