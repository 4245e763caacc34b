import { ROLL_OPTIONS } from "../../../scripts/rolling-update/cli/roll-options";
import { settingsOf, valueName } from "../../../scripts/rolling-update/cli/settings-of";
import { parseSettings } from "../../../scripts/rolling-update/settings";

const SETTINGS = Object.keys(parseSettings());

describe("the options of a roll", () => {
  test("reach every setting, those with parts by each of them", () => {
    const reached = new Set(ROLL_OPTIONS.map(({ setting: [name] }) => name));

    // Optional: it has no default.
    expect([...reached].filter((name) => name !== "application").sort()).toEqual(SETTINGS.sort());
    expect(new Set(ROLL_OPTIONS.map(({ setting }) => setting.join(".")))).toHaveProperty("size", ROLL_OPTIONS.length);
  });

  test.each(
    ROLL_OPTIONS.flatMap((option) => {
      // A check's limit depends on where the check runs, and is no default of the settings.
      const told = option.setting[0] === "checks" ? undefined : /\(default: (\S+)\)$/.exec(option.description)?.[1];
      return told === undefined ? [] : [{ ...option, told }];
    }),
  )("$flags tells its true default", (option) => {
    const given = option.read ? option.read(option.told) : option.told;

    expect(settingsOf({ [valueName(option)]: given })).toEqual(parseSettings());
  });

  test("what an option may be chosen from is what the settings take", () => {
    for (const { choices = [], ...option } of ROLL_OPTIONS) {
      for (const choice of choices) {
        expect(settingsOf({ [valueName(option)]: choice })).toMatchObject({ [option.setting[0]]: choice });
      }
    }
  });
});
