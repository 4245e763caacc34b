import { constants } from "node:os";
import { run } from "../../host/child";
import type { DaemonEnd } from "./daemon-host";

/** A unit as systemd knows it. */
export interface UnitState {
  readonly unit: string;
  /** Of the process it started, alive or not; 0 before that. */
  readonly pid: number;
  readonly running: boolean;
  readonly end: DaemonEnd;
}

const PROPERTIES = "Id,ActiveState,SubState,ExecMainPID,ExecMainCode,ExecMainStatus";
const TIMEOUT_MS = 20_000;

/** CLD_EXITED of waitid(2); the other codes of an end are of a signal. */
const EXITED = 1;

/** The loaded units of a name or a pattern. Any user may ask. */
export async function unitStates(pattern: string): Promise<readonly UnitState[]> {
  const output = await run("systemctl", ["show", pattern, `--property=${PROPERTIES}`], { timeoutMs: TIMEOUT_MS });
  return output.split("\n\n").flatMap((block) => {
    const fields = new Map(block.split("\n").map((line) => [line.split("=", 1)[0], line.slice(line.indexOf("=") + 1)]));
    const unit = fields.get("Id");
    return unit ? [stateOf(unit, (name) => fields.get(name) ?? "")] : [];
  });
}

function stateOf(unit: string, field: (name: string) => string): UnitState {
  const code = Number(field("ExecMainCode"));
  const status = Number(field("ExecMainStatus"));
  const seen = code !== 0;
  const signal = Object.entries(constants.signals).find(([, number]) => number === status)?.[0] ?? null;
  return {
    unit,
    pid: Number(field("ExecMainPID")),
    // A daemon that ended with status 0 leaves its unit active, and exited.
    running: field("SubState") !== "exited" && !["inactive", "failed"].includes(field("ActiveState")),
    end: { status: seen && code === EXITED ? status : null, signal: seen && code !== EXITED ? signal : null },
  };
}
