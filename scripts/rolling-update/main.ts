import { parse } from "../command-line";
import { awsSurroundings } from "./cli/aws-surroundings";
import { rollCommand } from "./cli/roll-command";

/** `holdfast roll …` alone, as the published module carries it: `node holdfast-roll.mjs plan --cluster orders.json`. */
void parse(
  rollCommand(awsSurroundings, (code) => {
    process.exitCode = code;
  }).name("node holdfast-roll.mjs"),
);
