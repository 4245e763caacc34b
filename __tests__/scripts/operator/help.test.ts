import { commandsOf } from "../../../scripts/command-line";
import { operatorCommands } from "../../../scripts/operator/commands";

const ignored = () => undefined;
const groups = operatorCommands({ environment: {}, out: ignored, err: ignored, exit: ignored });
const commands = groups
  .flatMap(commandsOf)
  .map((command) => [[command.parent?.name(), command.name()].filter(Boolean).join(" "), command] as const);

test.each(commands)("holdfast %s shows how it is called", (path, command) => {
  let help = "";
  command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();

  expect(help).toMatch(/\nExamples:\n/);
  expect(help).toContain(`holdfast ${path}`);
});

test("a time that is none is refused as every mistake in a command line is", () => {
  const [token] = groups.filter((group) => group.name() === "token");
  const create = token?.commands.find((command) => command.name() === "create");

  const given = () =>
    create?.exitOverride().configureOutput({ writeErr: ignored }).parse(["--expires-in", "soon"], { from: "user" });

  expect(given).toThrow("give a number and s, m or h");
});
