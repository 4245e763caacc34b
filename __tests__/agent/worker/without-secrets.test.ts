import { withoutSecrets } from "../../../agent/worker/without-secrets";

test("a secret is taken out plain, as in a URL and as in quotes, and so are the credentials of any URL", () => {
  const clean = withoutSecrets('p"w/1 p%22w%2F1 p\\"w/1 mysql://root:a@b@db:3306/shop a@b', ['p"w/1', ""]);

  expect(clean).toBe("[redacted] [redacted] [redacted] mysql://[redacted]@db:3306/shop a@b");
});

test("a text without credentials stays as it is", () => {
  const text = "http://db:80/path@v2 and me@example.com";
  expect(withoutSecrets(text, ["x".repeat(20)])).toBe(text);
});
