import { roleCredentials } from "../../../agent/host/credentials";
import type { Imds } from "../../../agent/host/imds";
import { steadyCredentials } from "../../../agent/worker/steady-credentials";

beforeEach(() => {
  jest.useFakeTimers({ now: Date.UTC(2026, 0, 2, 3, 4, 0) });
});
afterEach(() => {
  jest.useRealTimers();
});

/** A role's credentials of an hour, from a service that can be taken away. */
function role() {
  let given = 0;
  let answering: "answers" | "fails" | "is silent" = "answers";
  const imds: Imds = {
    get: async (path) => {
      if (answering === "is silent") return await new Promise(() => {});
      if (answering === "fails") throw new Error("GET: 503");
      if (path.endsWith("/")) return "worker";
      given += 1;
      const Expiration = new Date(Date.now() + 3_600_000).toISOString();
      return JSON.stringify({
        Code: "Success",
        AccessKeyId: `key ${given}`,
        SecretAccessKey: "s",
        Token: "t",
        Expiration,
      });
    },
  };
  const credentials = steadyCredentials(roleCredentials(imds, {}));
  return {
    credentials,
    key: async () => {
      const asked = credentials();
      asked.catch(() => {});
      await jest.advanceTimersByTimeAsync(5_000);
      return (await asked).accessKeyId;
    },
    service: (now: typeof answering) => {
      answering = now;
    },
  };
}

const RENEWAL_MS = 56 * 60_000;

test.each(["fails", "is silent"] as const)(
  "credentials that are to be renewed while the metadata service %s are used on, and renewed when it answers again",
  async (now) => {
    const { key, service } = role();
    expect(await key()).toBe("key 1");

    service(now);
    await jest.advanceTimersByTimeAsync(RENEWAL_MS);
    expect(await key()).toBe("key 1");

    service("answers");
    expect(await key()).toBe("key 2");
  },
);

test("credentials that AWS has called expired are used no more", async () => {
  const { credentials, key, service } = role();
  await key();
  service("fails");

  credentials.forget();

  await expect(key()).rejects.toThrow("GET: 503");
});
