/**
 * `npm run measure-api-calls`: applies every stack of cdktf.out to an emulated AWS and writes down how many API calls the
 * AWS provider makes for each type of resource, for the estimate of `npm start`. Needs terraform and moto_server.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withItsNetwork } from "./bench/stack-network";
import { startEmulatedAws } from "./emulator/emulated-aws";
import { terraformIn } from "./emulator/terraform";
import type { ApiCalls } from "./start/api-calls";

const OUTDIR = "cdktf.out";
const OUTPUT = "scripts/start/api-calls.json";

/** A line of the provider's debug log, written just before a request leaves. */
interface RequestLine {
  readonly "@message": string;
  readonly tf_resource_type?: string;
  readonly tf_data_source_type?: string;
  readonly tf_rpc?: string;
}

const WRITING = "ApplyResourceChange";

async function main(): Promise<void> {
  const { stacks } = JSON.parse(readFileSync(join(OUTDIR, "manifest.json"), "utf8"));
  const created = new Map<string, number>();
  const read = new Map<string, number>();
  const amount = new Map<string, number>();
  for (const [name, { synthesizedStackPath }] of Object.entries(
    stacks as Record<string, { synthesizedStackPath: string }>,
  )) {
    console.log(`measuring ${name}`);
    await measureStack(join(OUTDIR, synthesizedStackPath), { created, read, amount });
  }
  const calls = [...amount.keys()].sort().map((type) => {
    const each = (total: number | undefined) => Math.round((total ?? 0) / (amount.get(type) ?? 1));
    const measured: ApiCalls = {
      create: type.startsWith("data.") ? 0 : each(created.get(type)),
      read: each(read.get(type)),
    };
    return `  ${JSON.stringify(type)}: { "create": ${measured.create}, "read": ${measured.read} }`;
  });
  writeFileSync(OUTPUT, `{\n${calls.join(",\n")}\n}\n`);
  console.log(`${OUTPUT}: ${calls.length} types`);
}

interface Counts {
  readonly created: Map<string, number>;
  readonly read: Map<string, number>;
  readonly amount: Map<string, number>;
}

async function measureStack(json: string, { created, read, amount }: Counts): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "holdfast-measure-"));
  const emulator = await startEmulatedAws();
  try {
    writeFileSync(join(scratch, "cdk.tf.json"), await withItsNetwork(readFileSync(json, "utf8"), emulator));
    writeFileSync(join(scratch, "backend_override.tf.json"), '{"terraform":{"backend":{"local":{}}}}');
    const log = join(scratch, "provider.log");
    const terraform = terraformIn(scratch, emulator);
    const logged = terraformIn(scratch, emulator, { environment: { TF_LOG: "JSON", TF_LOG_PATH: log } });
    const requests = async (work: Promise<unknown>): Promise<RequestLine[]> => {
      await work;
      const lines = readFileSync(log, "utf8").split("\n");
      rmSync(log);
      return lines.filter((line) => line.includes("HTTP Request Sent")).map((line) => JSON.parse(line));
    };
    await terraform.init();
    const first = await requests(logged.apply());
    const second = await requests(logged.plan());
    for (const line of first.filter(({ tf_rpc }) => tf_rpc === WRITING)) {
      increase(created, typeOf(line));
    }
    for (const line of second) {
      increase(read, typeOf(line));
    }
    for (const address of await terraform.state()) {
      increase(amount, address.startsWith("data.") ? `data.${address.split(".")[1]}` : (address.split(".")[0] ?? ""));
    }
  } finally {
    await emulator.stop();
    rmSync(scratch, { recursive: true });
  }
}

function typeOf({ tf_resource_type, tf_data_source_type, tf_rpc }: RequestLine): string {
  const type = tf_data_source_type ?? tf_resource_type ?? "";
  return tf_rpc === "ReadDataSource" ? `data.${type}` : type;
}

function increase(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

main();
