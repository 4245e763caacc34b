import * as z from "zod";
import type { ControlPlaneApi } from "./control-plane";

/** Most that the control plane answers at once. */
const PART = 1_000;

/**
 * A whole list, part by part.
 * @param cursor what the list is in the order of
 * @param from what the first part comes after
 */
export async function listAll<Entry extends z.ZodType>(
  api: ControlPlaneApi,
  path: string,
  entry: Entry,
  cursor: (entry: z.output<Entry>) => string,
  from = "",
): Promise<z.output<Entry>[]> {
  const all: z.output<Entry>[] = [];
  for (let after = from; ; ) {
    const part = await api.get(`${path}?limit=${PART}&after=${encodeURIComponent(after)}`, z.array(entry));
    const last = part.at(-1);
    all.push(...part);
    // A control plane that knows no parts answers all at once.
    if (last === undefined || part.length !== PART) return all;
    after = cursor(last);
  }
}

/** As `listAll`, of what is listed in the order in which it was made. */
export const listById = async <Entry extends z.ZodType<{ readonly id: string }>>(
  api: ControlPlaneApi,
  path: string,
  entry: Entry,
): Promise<z.output<Entry>[]> => await listAll(api, path, entry, ({ id }) => id);

/** As `listAll`, of what is listed by its name. */
export const listNamed = async <Entry extends z.ZodType<{ readonly name: string }>>(
  api: ControlPlaneApi,
  path: string,
  entry: Entry,
): Promise<z.output<Entry>[]> => await listAll(api, path, entry, ({ name }) => name);
