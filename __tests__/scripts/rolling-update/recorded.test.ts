import { readFileSync } from "node:fs";
import { join } from "node:path";
import { recordRoll } from "../../../scripts/record-roll";

jest.setTimeout(120_000);

const PAGE = readFileSync(join(__dirname, "../../../docs/rolling-update.md"), "utf8");

/** Without how long things took, which a change of the simulator's timings may change. */
const untimed = (text: string) => text.replace(/\d+ (min|s)( \d+ s)?/g, "(time)");

test("the session on the page is what the commands print; `npm run record-roll` writes it", async () => {
  const onPage = PAGE.slice(PAGE.indexOf("<!-- session -->"), PAGE.indexOf("<!-- /session -->"));

  const session = await recordRoll();

  expect(untimed(onPage)).toBe(untimed(`<!-- session -->\n${session}\n`));
  expect(session.match(/(?<=\$ echo \$\?\n)\d+/g)).toEqual(["2", "0", "1", "8"]);
});
