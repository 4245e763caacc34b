import type { ModuleExample } from "./published-module";

/** What a caller sees of a module, as its Terraform JSON says it. */
export interface ModuleInterface {
  readonly variables: Readonly<Record<string, VariableBlock>>;
  readonly outputs: Readonly<Record<string, { readonly description?: string; readonly sensitive?: boolean }>>;
  readonly terraform: {
    readonly required_version: string;
    readonly required_providers: Readonly<Record<string, { readonly source: string; readonly version: string }>>;
  };
}

interface VariableBlock {
  readonly type: string;
  readonly description: string;
  readonly default?: unknown;
}

interface ReadmeSubject {
  readonly name: string;
  readonly summary: string;
  readonly examples?: readonly ModuleExample[];
}

/** The README of a module: what it is for, how to call it, and tables of what it takes, gives and requires. */
export function renderReadme(
  { name, summary, examples = [] }: ReadmeSubject,
  { variables, outputs, terraform }: ModuleInterface,
): string {
  const sections = [`# ${name}`, summary];
  const [usage, ...others] = examples;
  if (usage !== undefined) {
    sections.push("## Usage", fenced("hcl", usage.mainTf));
    sections.push(`This is [examples/${usage.name}](examples/${usage.name}/main.tf).${seeAlso(others)}`);
  }
  if (Object.keys(variables).length > 0) {
    sections.push("## Inputs", inputTable(variables));
  }
  if (Object.keys(outputs).length > 0) {
    sections.push("## Outputs", outputTable(outputs));
  }
  sections.push("## Requirements", requirementTable(terraform));
  return `${sections.join("\n\n")}\n`;
}

function seeAlso(examples: readonly ModuleExample[]): string {
  const links = examples.map(({ name }) => `[${name}](examples/${name}/main.tf)`);
  return links.length === 0 ? "" : ` See also ${links.join(", ")}.`;
}

function inputTable(variables: ModuleInterface["variables"]): string {
  const rows = Object.entries(variables).map(([name, { description, type, ...rest }]) => [
    code(name),
    description,
    code(type),
    "default" in rest ? code(JSON.stringify(rest.default)) : "required",
  ]);
  return table(["Name", "Description", "Type", "Default"], rows);
}

function outputTable(outputs: ModuleInterface["outputs"]): string {
  const rows = Object.entries(outputs).map(([name, { description = "", sensitive = false }]) => [
    code(name),
    sensitive ? `${description} (sensitive)` : description,
  ]);
  return table(["Name", "Description"], rows);
}

function requirementTable({ required_version, required_providers }: ModuleInterface["terraform"]): string {
  const providers = Object.values(required_providers).map(({ source, version }) => [code(source), code(version)]);
  return table(["Name", "Version"], [["terraform", code(required_version)], ...providers]);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function code(text: string): string {
  return `\`${text}\``;
}

function fenced(language: string, text: string): string {
  return `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``;
}
