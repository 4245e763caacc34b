import { parseSettings, type Settings, type SettingsInput } from "../settings";
import { ROLL_OPTIONS, type RollOption } from "./roll-options";

/** An option's name among the values a command line was parsed to: `--check-tcp <port>` is `checkTcp`. */
export function valueName({ flags }: RollOption): string {
  return longName(flags).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** `check-tcp`, of `--check-tcp <port>`. */
export function longName(flags: string): string {
  return flags.replace(/^--([\w-]+).*$/, "$1");
}

/**
 * The settings given on the command line, over those recorded.
 * @throws RollError SETTINGS_INCOHERENT naming the setting.
 */
export function settingsOf(values: Readonly<Record<string, unknown>>, recorded: SettingsInput = {}): Settings {
  const merged: Record<string, unknown> = { ...recorded };
  for (const option of ROLL_OPTIONS) {
    const name = valueName(option);
    if (!(name in values)) continue;
    const [setting, part] = option.setting;
    merged[setting] = part === undefined ? values[name] : { ...(merged[setting] as object), [part]: values[name] };
  }
  return parseSettings(merged as SettingsInput);
}
