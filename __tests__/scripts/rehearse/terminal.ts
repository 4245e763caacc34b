import { PassThrough } from "node:stream";
import { stripVTControlCharacters } from "node:util";

/** Something to write to, and what was written. */
export function page(isTTY = false): { readonly stream: NodeJS.WriteStream; readonly text: () => string } {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 120 }) as unknown as NodeJS.WriteStream;
  let written = "";
  stream.on("data", (chunk) => {
    written += chunk;
  });
  return { stream, text: () => stripVTControlCharacters(written) };
}
