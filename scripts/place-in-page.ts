/**
 * The page with the text between `<!-- name -->` and `<!-- /name -->`, instead of what stood there.
 * @throws Error when the page does not have both marks.
 */
export function placeInPage(page: string, name: string, text: string): string {
  const begin = `<!-- ${name} -->`;
  const end = `<!-- /${name} -->`;
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from === -1 || to === -1) throw new Error(`the page has no ${begin} … ${end}`);
  return `${page.slice(0, from + begin.length)}\n${text}\n${page.slice(to)}`;
}
