import pc from "picocolors";
import type { EmulatedApply } from "./emulated-apply";
import { type StackSummary, USER_DATA_LIMIT_BYTES, type UserDataSize } from "./stack-summary";

const number = new Intl.NumberFormat("en-US");

export function renderStack({ name, resources, dataSources, apiCalls, userData }: StackSummary): string {
  const lines = [
    pc.bold(name),
    ...columns(Object.entries(resources)),
    `  ${count(sum(resources), "resource")}, ${count(sum(dataSources), "data source")}`,
    `  AWS API calls: about ${number.format(apiCalls.create)} to create it all, ${number.format(apiCalls.read)} per plan without changes`,
    ...userData.map(renderUserData),
  ];
  return lines.join("\n");
}

export function renderApply(result: EmulatedApply): string {
  if (!result.applied) {
    return `skipped: ${result.skipped}`;
  }
  const outputs = JSON.stringify(result.outputs, null, 2).split("\n").slice(1, -1);
  return [
    `${pc.green("applied")} ${result.stack} to the emulated AWS: ${count(result.resources, "resource")}. Its outputs:`,
    ...outputs,
  ].join("\n");
}

function renderUserData({ launchTemplate, bytes, complete }: UserDataSize): string {
  const share = Math.round((bytes / USER_DATA_LIMIT_BYTES) * 100);
  const rest = complete ? "" : ", and what Terraform adds, which it checks";
  return `  user data of ${launchTemplate}: ${number.format(bytes)} of ${number.format(USER_DATA_LIMIT_BYTES)} bytes (${share} %)${rest}`;
}

/** `type  count`, two columns of them. */
function columns(entries: readonly (readonly [string, number])[]): string[] {
  const width = Math.max(0, ...entries.map(([type]) => type.length)) + 2;
  const cells = entries.map(([type, amount]) => type.padEnd(width) + String(amount).padStart(4));
  const half = Math.ceil(cells.length / 2);
  return cells.slice(0, half).map((cell, row) => `  ${cell}    ${cells[half + row] ?? ""}`.trimEnd());
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, amount) => total + amount, 0);
}

function count(amount: number, noun: string): string {
  return `${number.format(amount)} ${noun}${amount === 1 ? "" : "s"}`;
}
