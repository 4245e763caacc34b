import { secretsOf } from "../../../../agent/worker/daemon/daemon-secrets";
import { withoutSecrets } from "../../../../agent/worker/without-secrets";

test("a daemon's secrets are the passwords of its URLs as they are typed, its sink's, and its files line by line", () => {
  const secrets = secretsOf({
    variables: {
      SOURCE_URL: "postgres://cdc:p%40ss%2Fword@db:5432/shop",
      SINK_URL: "http://fe:8030",
      SINK_PASSWORD: "sink-word",
      SINK_USER: "cdc",
      TABLES: "orders",
    },
    files: { KEY: "-----BEGIN KEY-----\nMIIEcanary\n=\n" },
  });

  expect(secrets).toEqual([
    "-----BEGIN KEY-----\nMIIEcanary\n=\n",
    "-----BEGIN KEY-----",
    "MIIEcanary",
    "p@ss/word",
    "sink-word",
  ]);
});

test("a password that is not encoded as in a URL is taken as it stands", () => {
  expect(secretsOf({ variables: { SINK_URL: "http://root:100%@fe:8030" }, files: {} })).toEqual(["100%"]);
});

test("a secret that begins with another one leaves nothing of itself in a log", () => {
  const secrets = secretsOf({
    variables: { SOURCE_URL: "mysql://cdc:shop@db/shop", SINK_PASSWORD: "shop-canary" },
    files: {},
  });
  expect(withoutSecrets("denied: shop-canary, shop", secrets)).toBe("denied: [redacted], [redacted]");
});

test("a daemon without credentials has none", () => {
  expect(secretsOf({ variables: { SOURCE_URL: "no URL", SINK_PASSWORD: "" }, files: {} })).toEqual([]);
});
