import { z } from "zod";
import { AwsError } from "../aws-error";

/** A document of the type Command with one step that runs shell on Linux: the part of the schema that is understood here. */
const documentSchema = z.strictObject({
  schemaVersion: z.literal("2.2"),
  description: z.string().optional(),
  parameters: z.record(
    z.string(),
    z.strictObject({
      type: z.literal("String"),
      description: z.string().optional(),
      default: z.string().optional(),
      allowedValues: z.array(z.string()).optional(),
      allowedPattern: z.string().optional(),
      maxChars: z.number().optional(),
    }),
  ),
  mainSteps: z
    .array(
      z.strictObject({
        action: z.literal("aws:runShellScript"),
        name: z.string(),
        precondition: z.unknown().optional(),
        inputs: z.strictObject({ timeoutSeconds: z.string(), runCommand: z.array(z.string()) }),
      }),
    )
    .length(1),
});

/** What an instance runs of a document, and for how long at most. */
export interface Rendered {
  readonly script: string;
  readonly seconds: number;
}

/**
 * A document with its parameters in place, as text: what stands between `{{ }}` is put there unquoted.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-schemas-features.html
 * @throws AwsError for a parameter that is unknown, missing or not allowed.
 */
export function renderedDocument(content: string, given: Readonly<Record<string, readonly string[]>>): Rendered {
  const { parameters, mainSteps } = documentSchema.parse(JSON.parse(content));
  const unknown = Object.keys(given).find((name) => !(name in parameters));
  if (unknown !== undefined) throw new AwsError("InvalidParameters", `${unknown} is no parameter of the document`);
  const values = new Map(
    Object.entries(parameters).map(([name, { default: otherwise, allowedValues, allowedPattern, maxChars }]) => {
      const value = given[name]?.[0] ?? otherwise;
      if (value === undefined) throw new AwsError("InvalidParameters", `${name} is required`);
      const isAllowed =
        (allowedValues?.includes(value) ?? true) &&
        (allowedPattern === undefined || new RegExp(allowedPattern).test(value)) &&
        value.length <= (maxChars ?? Number.POSITIVE_INFINITY);
      if (!isAllowed) throw new AwsError("InvalidParameters", `${name} has the value ${value}, which is not allowed`);
      return [name, value];
    }),
  );
  const filled = (text: string) => text.replace(/\{\{ *(\w+) *\}\}/g, (whole, name) => values.get(name) ?? whole);
  const inputs = mainSteps[0]?.inputs;
  return {
    script: (inputs?.runCommand ?? []).map(filled).join("\n"),
    seconds: Number(filled(inputs?.timeoutSeconds ?? "3600")),
  };
}
