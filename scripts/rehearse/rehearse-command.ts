import { Command } from "commander";
import { removeAbandonedLabs } from "./machines/lab";

/** `holdfast rehearse`: clusters on this machine's own containers. */
export function rehearseCommand(out: (text: string) => void): Command {
  const rehearse = new Command("rehearse").description("machines of the lab on this computer");
  rehearse
    .command("clean")
    .description("remove what labs left whose process has ended: containers, volumes, networks")
    .addHelpText("after", "\nLabs that run are not touched. Needs root.\n\nExample: holdfast rehearse clean")
    .action(async () => {
      const removed = await removeAbandonedLabs();
      out(removed.length === 0 ? "nothing to remove\n" : `removed ${removed.map((id) => `lab ${id}`).join(", ")}\n`);
    });
  return rehearse;
}
