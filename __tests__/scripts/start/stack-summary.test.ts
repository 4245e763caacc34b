import { API_CALLS } from "../../../scripts/start/api-calls";
import { renderApply, renderStack } from "../../../scripts/start/report";
import { summarizeStack } from "../../../scripts/start/stack-summary";

const USER_DATA = Buffer.alloc(1_000, 7).toString("base64");
const STACK = {
  resource: {
    aws_launch_template: {
      docs: { name: "orders-docs", user_data: USER_DATA },
      mail: { name_prefix: "orders-mail-", user_data: `${USER_DATA}\${base64gzip(local.x)}` },
      bare: { name: "no-user-data" },
    },
    aws_unheard_of: { one: {} },
  },
  data: { aws_caller_identity: { current: {} } },
};

test("a stack is summed up by type, calls and user data", () => {
  const summary = summarizeStack("orders", STACK);

  const template = API_CALLS["aws_launch_template"];
  expect(summary).toEqual({
    name: "orders",
    resources: { aws_launch_template: 3, aws_unheard_of: 1 },
    dataSources: { aws_caller_identity: 1 },
    apiCalls: { create: 3 * (template?.create ?? 0) + 2 + 1, read: 3 * (template?.read ?? 0) + 1 + 1 },
    userData: [
      { launchTemplate: "orders-docs", bytes: 1_000, complete: true },
      { launchTemplate: "orders-mail-", bytes: 1_000, complete: false },
    ],
  });
});

test("the calls of a type that every fleet has were measured", () => {
  for (const type of ["aws_autoscaling_group", "aws_launch_template", "aws_iam_role"]) {
    expect({ type, calls: API_CALLS[type] }).toEqual({
      type,
      calls: { create: expect.any(Number), read: expect.any(Number) },
    });
  }
});

test("the text shows counts, calls and how much of user data is used", () => {
  const text = renderStack(summarizeStack("orders", STACK));

  expect(text).toContain("  aws_launch_template     3    aws_unheard_of          1");
  expect(text).toContain("4 resources, 1 data source");
  expect(text).toContain("user data of orders-docs: 1,000 of 16,384 bytes (6 %)");
  expect(text).toContain(
    "user data of orders-mail-: 1,000 of 16,384 bytes (6 %), and what Terraform adds, which it checks",
  );
});

test("what was not applied says why", () => {
  expect(renderApply({ applied: false, skipped: "terraform is missing" })).toBe("skipped: terraform is missing");
});
