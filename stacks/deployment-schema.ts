import { inputSchema } from "../modules/publish/json-schema";
import type { DeploymentKind } from "./deployment-kind";
import { documentSchema } from "./deployments";

/**
 * JSON Schema of a document in `deployments/`, for editors: completion, descriptions and problems as one types. The key
 * `kind` decides which schema the rest is held to.
 */
export function deploymentSchema(kinds: readonly DeploymentKind[]): object {
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "A deployment",
    type: "object",
    required: ["kind"],
    properties: { kind: { description: "What is deployed.", enum: kinds.map(({ kind }) => kind) } },
    allOf: kinds.map((kind) => ({
      if: { properties: { kind: { const: kind.kind } }, required: ["kind"] },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { description: kind.summary, ...inputSchema(documentSchema(kind)), $schema: undefined },
    })),
  };
}
