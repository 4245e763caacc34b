import { parseKeyring, rewrap, seal, unseal } from "../../../control-plane/store/seal";

const KEYS = parseKeyring(`k1:${"11".repeat(32)}`);
const ROTATED = parseKeyring(`k2:${"22".repeat(32)},k1:${"11".repeat(32)}`);
const CONTEXT = { deploymentId: "d1", datasourceId: "s1", version: 1 };

describe("control-plane 26: sealed secrets", () => {
  it("control-plane 26: opens what it sealed, and never seals twice the same", () => {
    const sealed = seal(KEYS, "pässword", CONTEXT);

    expect(unseal(KEYS, sealed, CONTEXT)).toBe("pässword");
    expect(seal(KEYS, "pässword", CONTEXT)).not.toBe(sealed);
    expect(sealed).not.toContain("ssword");
  });

  it("control-plane 26: refuses every flipped bit", () => {
    const sealed = seal(KEYS, "password", CONTEXT);
    const [format, keyId, ...boxes] = sealed.split(".");
    for (const [part, text] of boxes.entries()) {
      const box = Buffer.from(text, "base64url");
      for (let bit = 0; bit < box.length * 8; bit++) {
        const flipped = Buffer.from(box);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const forged = boxes.with(part, flipped.toString("base64url"));
        expect(() => unseal(KEYS, [format, keyId, ...forged].join("."), CONTEXT)).toThrow();
      }
    }
  });

  it.each([
    ["deployment", { ...CONTEXT, deploymentId: "d2" }],
    ["datasource", { ...CONTEXT, datasourceId: "s2" }],
    ["version", { ...CONTEXT, version: 2 }],
  ])("control-plane 26: refuses a secret moved to another %s", (_, elsewhere) => {
    expect(() => unseal(KEYS, seal(KEYS, "password", CONTEXT), elsewhere)).toThrow();
  });

  it("control-plane 26: wraps the data key anew without touching the secret", () => {
    const sealed = seal(KEYS, "password", CONTEXT);
    const again = rewrap(ROTATED, sealed, CONTEXT);

    expect(again.split(".")[1]).toBe("k2");
    expect(again.split(".")[3]).toBe(sealed.split(".")[3]);
    expect(unseal(ROTATED, again, CONTEXT)).toBe("password");
    expect(rewrap(ROTATED, again, CONTEXT)).toBe(again);
    expect(() => unseal(KEYS, again, CONTEXT)).toThrow("sealed with key k2, which the keyring lacks");
  });

  it.each([
    ["k1", "key k1 of the keyring is not 64 hex digits"],
    ["k1:1234", "key k1 of the keyring is not 64 hex digits"],
    [`:${"11".repeat(32)}`, "no valid id"],
    [`k1:${"11".repeat(32)},k1:${"22".repeat(32)}`, "stands twice"],
  ])("says what is wrong with a keyring without showing a key: %s", (text, message) => {
    expect(() => parseKeyring(text)).toThrow(message);
    expect(() => parseKeyring(text)).not.toThrow(/1111|1234/);
  });
});
