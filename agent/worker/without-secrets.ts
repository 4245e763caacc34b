/** A text in which neither the secrets stand, plain or as in a URL, nor the credentials of any URL. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret === "") continue;
    for (const form of [secret, encodeURIComponent(secret)]) clean = clean.replaceAll(form, "[redacted]");
  }
  return clean.replace(/(\w+:\/\/)[^\s/@]*@/g, "$1[redacted]@");
}
