import { z } from "zod";
import { terraformType } from "../../../modules/publish/terraform-type";

test.each<[string, z.ZodType]>([
  ["string", z.string()],
  ["string", z.enum(["x86_64", "arm64"])],
  ["string", z.literal("gp3")],
  ["number", z.int().min(1)],
  ["number", z.number()],
  ["bool", z.boolean()],
  ["string", z.string().nullable()],
  ["list(string)", z.array(z.string())],
  ["set(string)", z.array(z.string()).meta({ uniqueItems: true })],
  ["map(number)", z.record(z.string(), z.int())],
  ["object({})", z.object({})],
  ["object({ name = string, size = optional(number) })", z.object({ name: z.string(), size: z.int().optional() })],
  ['object({ device = optional(string, "/dev/sdf") })', z.object({ device: z.string().default("/dev/sdf") })],
  ["object({ tags = optional(map(string), {}) })", z.object({ tags: z.record(z.string(), z.string()).default({}) })],
  [
    'object({ hosts = optional(list(string), ["a", "b"]) })',
    z.object({ hosts: z.array(z.string()).default(["a", "b"]) }),
  ],
  ['object({ format = optional(string, "$${time}") })', z.object({ format: z.string().default("${time}") })],
  ["object({ key = optional(string) })", z.object({ key: z.string().nullable().default(null) })],
  [
    "map(object({ min = number, types = optional(list(string)) }))",
    z.record(z.string(), z.object({ min: z.int(), types: z.array(z.string()).optional() })),
  ],
])("%s", (type, schema) => {
  expect(terraformType(schema)).toBe(type);
});

test("a schema that no Terraform type can say is refused by its path", () => {
  const schema = z.object({ sinks: z.array(z.object({ port: z.union([z.string(), z.int()]) })) });

  expect(() => terraformType(schema)).toThrow(/^value\.sinks\[\*\]\.port: no Terraform type can say \{"anyOf"/);
});
