/**
 * A text in which neither the secrets stand, plain, as in a URL or as in quotes, nor the credentials of any URL. Takes time in
 * proportion to the text's length, whatever daemons write.
 */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret === "") continue;
    const quoted = JSON.stringify(secret).slice(1, -1);
    for (const form of [secret, encodeURIComponent(secret), quoted]) clean = clean.replaceAll(form, "[redacted]");
  }
  return clean.replace(/:\/\/[^\s/]*@/g, "://[redacted]@");
}
