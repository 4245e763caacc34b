import { parse } from "./cli/parse";
import { rollCommand } from "./cli/roll-command";
import { awsSurroundings } from "./cli/surroundings";

/** `holdfast roll …` alone, as the published module carries it: `node holdfast-roll.mjs plan --cluster orders.json`. */
void parse(
  rollCommand(awsSurroundings, (code) => {
    process.exitCode = code;
  }),
);
