import { type Act, CannotHappen, machineOf, manifestNodeOf } from "../rehearsal";
import { timeText } from "../story/time";
import { check, othersStayed, replacedChecks } from "./checks";

/** The node is lost, and its volume takes its time to come back: nothing gives its successor up meanwhile. */
export const slowBoot: Act = async (rehearsal, occasion) => {
  const { stage, story } = rehearsal;
  const { node, event, fromMs } = occasion;
  const volumeIds = manifestNodeOf(rehearsal, node)?.volumeIds ?? [];
  if (volumeIds.length === 0) throw new CannotHappen(`${node.name} has no volume that could be slow to attach`);
  const forMs = event.forMs ?? 0;
  const end = stage.slowBoots(volumeIds, forMs);
  try {
    await machineOf(rehearsal, node).machine.kill();
    const checks = await replacedChecks(rehearsal, occasion);
    const instances = story.happenings.flatMap((happening) =>
      happening.kind === "node" && happening.node === node.name && happening.atMs >= fromMs
        ? (happening.instance ?? [])
        : [],
    );
    const successors = new Set(instances.filter((id) => id !== node.instance)).size;
    const tookMs = story.elapsedMs - fromMs;
    return [
      ...checks,
      check(tookMs >= forMs, `its boot took the ${timeText(forMs)} longer`, `it took ${timeText(tookMs)} in all`),
      check(successors === 1, "no instance was given up", `${successors} instances were launched`),
      othersStayed(rehearsal, occasion, [node.name]),
    ];
  } finally {
    end();
  }
};
