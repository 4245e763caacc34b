import { Testing } from "cdktf";
import { z } from "zod";
import { variableList, variableNumber, variableString } from "../../../modules/publish/expressions";
import { ModuleStack } from "../../../modules/publish/module-stack";
import { declareOutput, declareVariable, declareVariables } from "../../../modules/publish/variables";

const moduleStack = () => new ModuleStack(Testing.app(), "module");
const synth = (stack: ModuleStack) => JSON.parse(Testing.synth(stack, true));

test.each([
  ["null", null],
  ["a null inside a list", [null, "a"]],
  ["an object with keys that are not snake case", { CamelKey: 1, "k-b": { Inner: null } }],
  ["an empty object", {}],
  ["an empty list", []],
  ["false", false],
  ["zero", 0],
  ["the empty string", ""],
])("a default that is %s is emitted as given", (_what, value) => {
  const stack = moduleStack();

  declareVariable(stack, "setting", { type: "any", description: "A setting.", default: value });

  expect(synth(stack).variable.setting.default).toEqual(value);
});

test("every property of a schema becomes a variable with type, default, description and rules", () => {
  // GIVEN
  const stack = moduleStack();
  const schema = z.object({
    deployment: z
      .string()
      .regex(/^[a-z]+$/)
      .describe("Name of the deployment."),
    pools: z
      .record(
        z.string().max(20),
        z.object({ min: z.int().min(0).default(0), drain: z.int().max(172_800).optional(), cpu: z.enum(["a", "b"]) }),
      )
      .describe("Pools by name."),
    subnets: z.array(z.cidrv4()).min(2).optional().describe("Address ranges."),
  });

  // WHEN
  declareVariables(stack, schema, {
    validations: { pools: [{ condition: "length(var.pools) > 0", errorMessage: "Give at least one ${pool}." }] },
    sensitive: ["subnets"],
  });

  // THEN
  expect(synth(stack).variable).toEqual({
    deployment: {
      description: "Name of the deployment.",
      nullable: false,
      type: "string",
      validation: [
        {
          condition: '${can(regex("^[a-z]+$", var.deployment))}',
          error_message: "deployment must match ^[a-z]+$.",
        },
      ],
    },
    pools: {
      description: "Pools by name.",
      nullable: false,
      type: "map(object({ min = optional(number, 0), drain = optional(number), cpu = string }))",
      validation: [
        {
          condition: "${alltrue([for key, item in var.pools : length(key) <= 20])}",
          error_message: "A key of pools must have at most 20 characters.",
        },
        {
          condition: "${alltrue([for key, item in var.pools : item.min >= 0])}",
          error_message: "pools[*].min must be at least 0.",
        },
        {
          condition: "${alltrue([for key, item in var.pools : floor(item.min) == item.min])}",
          error_message: "pools[*].min must be a whole number.",
        },
        {
          condition: "${alltrue([for key, item in var.pools : (item.drain == null ? true : item.drain <= 172800)])}",
          error_message: "pools[*].drain must be at most 172800.",
        },
        {
          condition:
            "${alltrue([for key, item in var.pools : (item.drain == null ? true : floor(item.drain) == item.drain)])}",
          error_message: "pools[*].drain must be a whole number.",
        },
        {
          condition: '${alltrue([for key, item in var.pools : contains(["a", "b"], item.cpu)])}',
          error_message: "pools[*].cpu must be one of a, b.",
        },
        { condition: "${length(var.pools) > 0}", error_message: "Give at least one $${pool}." },
      ],
    },
    subnets: {
      default: null,
      description: "Address ranges.",
      nullable: true,
      sensitive: true,
      type: "list(string)",
      validation: [
        {
          condition: "${(var.subnets == null ? true : length(var.subnets) >= 2)}",
          error_message: "subnets must have at least 2 elements.",
        },
        {
          condition: "${(var.subnets == null ? true : alltrue([for item in var.subnets : can(cidrhost(item, 0))]))}",
          error_message: "subnets[*] must be an address range in CIDR notation.",
        },
      ],
    },
  });
});

test("a variable without a description is refused by name", () => {
  expect(() => declareVariables(moduleStack(), z.object({ size: z.int() }))).toThrow(
    'variable size has no description; give its schema one with .describe("…")',
  );
});

test("properties of a variable are read as strings, numbers and lists", () => {
  const stack = moduleStack();
  const volume = declareVariable(stack, "volume", {
    type: "object({ path = string, size = number, options = list(string) })",
    description: "A volume.",
  });

  declareOutput(stack, "read", {
    description: "What was read.",
    value: {
      path: variableString(volume, "path"),
      size: variableNumber(volume, "size"),
      options: variableList(volume, "options"),
    },
  });

  expect(synth(stack).output.read.value).toEqual({
    path: "${var.volume.path}",
    size: "${var.volume.size}",
    options: "${var.volume.options}",
  });
});

test("an output keeps its precondition", () => {
  const stack = moduleStack();

  declareOutput(stack, "names", {
    value: "x",
    description: "Names.",
    preconditions: [{ condition: "1 > 0", errorMessage: "Never." }],
  });

  expect(synth(stack).output.names).toEqual({
    description: "Names.",
    value: "x",
    precondition: [{ condition: "${1 > 0}", error_message: "Never." }],
  });
});
