import { execFileSync } from "node:child_process";
import { shellWord } from "../../scripts/shell-word";

test.each(["", "a b", "it's", '"$HOME" `id` \\ !', "*", "~", "#", "two\nlines"])(
  "a shell reads %j as it is",
  (text) => {
    expect(execFileSync("sh", ["-c", `printf %s ${shellWord(text)}`], { encoding: "utf8" })).toBe(text);
  },
);

it("quotes no path that needs it not", () => {
  expect(shellWord("/var/lib/holdfast/token-1.x")).toBe("/var/lib/holdfast/token-1.x");
});
