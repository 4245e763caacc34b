/** Content that user data carries: as text, which compresses well, or in base64 where it is no UTF-8. */
export type InlineContent = { readonly text: string } | { readonly base64: string };

export function inlineBytes(content: InlineContent): Buffer {
  return "text" in content ? Buffer.from(content.text) : Buffer.from(content.base64, "base64");
}
