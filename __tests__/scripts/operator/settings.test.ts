import { useCannedControlPlane } from "./canned-control-plane";
import { holdfast } from "./holdfast";

const plane = useCannedControlPlane();
const TOKEN = { HOLDFAST_TOKEN: "hfo_abcdefgh" };
const UNSET = { HOLDFAST_DEPLOYMENT: "", HOLDFAST_TOKEN_FILE: "" };

it("takes a variable that is empty for one that is not set", async () => {
  plane.answer = (asked) => (asked.includes("/jobs") ? [] : [{ id: "d", name: "shop" }]);

  expect(await holdfast(["job", "list"], { ...TOKEN, ...UNSET, HOLDFAST_URL: plane.url })).toMatchObject({ code: 0 });
  const { err } = await holdfast(["job", "list"], { HOLDFAST_URL: "", HOLDFAST_TOKEN: "", HOLDFAST_TOKEN_FILE: "" });

  expect(err).toMatch(/^SECRET_MISSING: the operator's token is missing/);
});

it.each(["", ",", " , "])("asks for nothing where a job is to copy the tables %j", async (tables) => {
  const words = ["job", "create", "orders", "--source", "a", "--sink", "b", "--tables", tables];

  const { code, err } = await holdfast(words, { ...TOKEN, HOLDFAST_URL: plane.url });

  expect([code, plane.asked]).toEqual([1, []]);
  expect(err).toContain("name one table at least");
});
