import { moduleFiles } from "../../modules/publish/module-files";
import { PUBLISHED_MODULES } from "../../modules/published-modules";
import { deploymentFiles, readDeployments } from "../../stacks/deployments";
import { KINDS } from "../../stacks/kinds";
import { synthesize } from "../../stacks/synthesize";
import { unknownAttributes } from "../support/provider-attributes";
import { contentsOf, useScratch } from "../support/scratch";

const scratch = useScratch();

test.each<[string, object, string[]]>([
  ["a known argument", { aws_security_group: { a: { name: "x", ingress: [{ from_port: 1 }] } } }, []],
  ["an unknown argument", { aws_security_group: { a: { region: "x" } } }, ["aws_security_group.a.region"]],
  [
    "an unknown argument of a block",
    { aws_launch_template: { a: { placement: [{ group_name: "x", group_id: "x" }] } } },
    ["aws_launch_template.a.placement.group_id"],
  ],
  [
    "an unknown argument of a dynamic block",
    { aws_launch_template: { a: { dynamic: { placement: { for_each: "x", content: { group_id: "x" } } } } } },
    ["aws_launch_template.a.placement.group_id"],
  ],
  [
    "an unknown attribute that is read",
    { aws_security_group: { a: { name: "${data.aws_region.current.region}-${aws_iam_role.a.arn}" } } },
    ["data.aws_region.current.region"],
  ],
])("%s is told apart", (_what, resource, expected) => {
  expect(unknownAttributes({ resource })).toEqual(expected);
});

test("a type that was not written down is an error with the command to run", () => {
  expect(() => unknownAttributes({ resource: { aws_quantum_ledger: { a: {} } } })).toThrow(
    "the attributes of resource aws_quantum_ledger are not written down; run: npm run provider-attributes",
  );
});

test("no deployment sets or reads an attribute that AWS provider 5.100 lacks", () => {
  const stacks = synthesize(readDeployments(deploymentFiles("deployments"), KINDS), scratch.path);

  for (const { name, path } of stacks) {
    const terraform = JSON.parse(contentsOf(scratch.path)[path] ?? "");
    expect({ name, unknown: unknownAttributes(terraform) }).toEqual({ name, unknown: [] });
  }
});

test("no published module sets or reads an attribute that AWS provider 5.100 lacks", () => {
  for (const module of PUBLISHED_MODULES) {
    for (const [name, text] of moduleFiles(module)) {
      const unknown = name.endsWith(".tf.json") ? unknownAttributes(JSON.parse(text)) : [];
      expect({ module: module.name, name, unknown }).toEqual({ module: module.name, name, unknown: [] });
    }
  }
});
