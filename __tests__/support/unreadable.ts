import fs from "node:fs";

/**
 * Has every reading of a file at once fail as the system says, until jest restores its mocks.
 *
 * @param isMeant whether that is so of a path now. @default - of the path alone
 */
export function unreadable(path: string, code: string, isMeant = () => true): void {
  const read = fs.readFileSync;
  jest.spyOn(fs, "readFileSync").mockImplementation(((...given: Parameters<typeof read>) => {
    if (given[0] !== path || !isMeant()) return read(...given);
    throw Object.assign(new Error(`${code}: ${path}`), { code });
  }) as typeof read);
}
