import { Command } from "commander";
import * as z from "zod";
import { examples } from "../../command-line";
import { type OperatorSurroundings, operatorAction } from "../operator-command";

export function keyCommand(surroundings: OperatorSurroundings): Command {
  const group = new Command("key").description("keys that seal the datasources' passwords").addHelpText(
    "after",
    `
Put a new key first in HOLDFAST_KEYRING, restart every copy, rotate, then drop the old key.
${examples("holdfast key rotate")}`,
  );
  operatorAction(
    group
      .command("rotate")
      .description("wrap every sealed password with the keyring's first key")
      .addHelpText("after", examples("holdfast key rotate")),
    surroundings,
    async ({ api, print }) => {
      const rotated = await api.post("/api/v1/keys/rotate", {}, z.object({ key: z.string(), wrapped: z.int() }));
      print(
        rotated,
        `wrapped ${rotated.wrapped} passwords with key ${rotated.key}; the others may leave HOLDFAST_KEYRING`,
      );
    },
  );
  return group;
}
