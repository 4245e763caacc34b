import { type Command, InvalidArgumentError, Option } from "commander";
import { ROLL_OPTIONS } from "./roll-options";

/** Adds the options that say how a roll goes. */
export function withSettings(command: Command): Command {
  for (const { flags, description, choices, read, repeats } of ROLL_OPTIONS) {
    const option = new Option(flags, description);
    if (choices) option.choices(choices);
    if (read) option.argParser(refusing(read));
    if (repeats) option.argParser((value: string, before: string[] = []) => [...before, value]);
    command.addOption(option);
  }
  return command;
}

/** With its mistakes told as the command line tells them. */
export function refusing<T>(read: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return read(text);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
}
