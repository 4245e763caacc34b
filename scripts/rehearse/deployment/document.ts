import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { run } from "../../emulator/child";
import { WrongUse } from "../wrong-use";
import { REPOSITORY } from "./bundled";
import type { Deployment, Place, Written } from "./deployment";
import { DIALS_REMARKS, withChanged, withDials, workersOf } from "./fleet-document";
import { makeNetwork, type NeededNetwork } from "./made-network";
import { commonPrefix, neededSubnets, prefixOf, type Rebase, replaced } from "./placeholders";
import { ROLLS_NOT } from "./remarks";

/** What a rehearsal has to know of a document; the stack's own schema says the rest. */
const headSchema = z.object({
  kind: z.string(),
  name: z.string(),
  aws: z.object({ region: z.string() }),
  nodes: z.array(z.object({ node_id: z.string(), node_ip: z.ipv4(), node_subnet_id: z.string() })).optional(),
  security_groups: z.array(z.string()).default([]),
  network: z
    .object({
      vpc_id: z.string().optional(),
      subnet_ids: z.array(z.string()).default([]),
      route_table_ids: z.array(z.string()).default([]),
      create: z.object({ cidr_block: z.string() }).optional(),
    })
    .optional(),
});
type Head = z.output<typeof headSchema>;

/** Names of the documents in a file, in their order. */
export function documentNames(file: string): string[] {
  return parseAllDocuments(readFileSync(file, "utf8")).flatMap((document) => {
    const name: unknown = "get" in document ? document.get("name") : undefined;
    return typeof name === "string" ? [name] : [];
  });
}

/**
 * A document of deployments/.
 *
 * @param name which, where the file holds several
 * @throws WrongUse where there is no such document, or it lacks what every document has.
 */
export function documentDeployment(file: string, name: string | undefined): Deployment {
  const text = readFileSync(file, "utf8");
  const documents = parseAllDocuments(text).map((document) => ("toJS" in document ? document.toJS() : undefined));
  const names = documents.flatMap((document) => (typeof document?.name === "string" ? [document.name] : []));
  if (name === undefined && documents.length > 1) {
    throw new WrongUse(`${file} holds several deployments`, `name one: ${names.join(", ")}`);
  }
  const chosen = name === undefined ? documents[0] : documents.find((document) => document?.name === name);
  const head = headSchema.safeParse(chosen);
  if (!head.success) throw unsound(file, head.error);
  const workers = head.data.kind === "worker-fleet" ? workersOf(chosen) : undefined;
  if (workers instanceof z.ZodError) throw unsound(file, workers);
  return {
    name: head.data.name,
    region: head.data.aws.region,
    workers,
    write: (place) => write({ file, text, head: head.data }, place),
  };
}

function unsound(file: string, { issues }: z.ZodError): WrongUse {
  const problems = issues.map(({ path, message }) => `${file}: ${path.join(".")}: ${message}`);
  return new WrongUse(problems.join("\n"), `npm run synth -- ${file} names everything that is wrong with it`);
}

interface Source {
  readonly file: string;
  readonly text: string;
  readonly head: Head;
}

async function write({ file, text, head }: Source, place: Place): Promise<Written> {
  const rebase = rebaseOf(file, head, place.network);
  const needed = neededNetwork(head, rebase, place.network);
  const ids = needed && (await makeNetwork(needed, { url: place.url, region: head.aws.region }));
  const copied = join(place.directory, "deployment.yaml");
  const outdir = join(place.directory, "cdktf.out");
  const directory = join(outdir, "stacks", head.name);
  const moved = replaced(text, rebase, ids ?? new Map());
  const here = place.dials ? withDials(moved, head.name, place.dials) : moved;
  const synthesize = async (document: string) => {
    writeFileSync(copied, document);
    await synthesizeFile(copied, outdir, file, place.signal);
    return adapt(directory);
  };
  const { rollsOnApply } = await synthesize(here);
  return {
    directory,
    remarks: [
      ...(rollsOnApply ? [ROLLS_NOT] : []),
      ...(needed === undefined
        ? []
        : [`The network that ${head.name} names was made: ${[...(ids ?? [])].length} ids stand for others.`]),
      ...(rebase === undefined ? [] : [`Addresses of ${rebase.from}.0.0/16 are in ${rebase.to}.0.0/16.`]),
      ...(place.dials ? DIALS_REMARKS : []),
    ],
    tellClusters: () => {},
    manifests: ({ roll_manifest }) => (typeof roll_manifest === "string" ? [roll_manifest] : []),
    writeScript: async (script) => {
      const other = withChanged(here, head.name, (document) => {
        if (typeof document.get("node_config_script") !== "string") {
          throw new Error(`${head.name} has no node_config_script of its own: its script lies in S3`);
        }
        document.set("node_config_script", script);
        document.set("on_boot_failure", "abandon");
      });
      await synthesize(other);
    },
  };
}

function rebaseOf(file: string, { nodes, network }: Head, to: string | undefined): Rebase | undefined {
  if (to === undefined) return undefined;
  const from =
    nodes === undefined
      ? network?.create && prefixOf(network.create.cidr_block)
      : commonPrefix(
          nodes.map(({ node_ip }) => node_ip),
          `${file}: nodes`,
        );
  return from === undefined ? undefined : { from, to: prefixOf(to) };
}

/** What of the document must be there before it is applied; undefined where it makes everything itself. */
function neededNetwork(
  { nodes, network, security_groups }: Head,
  rebase: Rebase | undefined,
  cidr: string | undefined,
): NeededNetwork | undefined {
  const isMade = nodes === undefined && network?.vpc_id === undefined;
  if (isMade) return undefined;
  const here = (nodes ?? []).map((node) => ({ ...node, node_ip: replaced(node.node_ip, rebase, new Map()) }));
  const prefix = commonPrefix(
    here.map(({ node_ip }) => node_ip),
    "nodes",
  );
  const elsewhere = cidr === undefined ? ELSEWHERE : prefixOf(cidr);
  const named = (network?.subnet_ids ?? []).map((id, index) => ({ id, cidrBlock: `${elsewhere}.${index + 1}.0/24` }));
  return {
    cidrBlock: `${prefix ?? elsewhere}.0.0/16`,
    subnets: nodes === undefined ? named : neededSubnets(here),
    vpcIds: network?.vpc_id === undefined ? [] : [network.vpc_id],
    securityGroupIds: security_groups,
    routeTableIds: network?.route_table_ids ?? [],
  };
}

/** Where instances are whose deployment says no address, and that may be anywhere. */
const ELSEWHERE = "10.79";

/** @throws WrongUse with what the app objects to, in the words of the file as it is. */
async function synthesizeFile(copied: string, outdir: string, file: string, signal: AbortSignal): Promise<void> {
  const args = ["--import", "tsx", "main.ts", copied, "--output", outdir];
  const { code, stderr } = await run(process.execPath, args, { signal, cwd: REPOSITORY });
  if (code !== 0) throw new WrongUse(stderr.trim().replaceAll(copied, file), "correct the document");
}

/**
 * Takes out of the Terraform JSON what holds for its own account alone: whose it is, whom to act as, where its state lies. And the
 * roll within an apply: it would be over before anyone looked, and end the rehearsal of a release that cannot boot.
 */
function adapt(directory: string): { readonly rollsOnApply: boolean } {
  const path = join(directory, "cdk.tf.json");
  const configuration = JSON.parse(readFileSync(path, "utf8"));
  for (const provider of configuration.provider?.aws ?? []) {
    delete provider.allowed_account_ids;
    delete provider.assume_role;
  }
  configuration.terraform.backend = { local: {} };
  const { null_resource: trigger, ...resource } = configuration.resource;
  configuration.resource = resource;
  delete configuration.terraform.required_providers.null;
  writeFileSync(path, JSON.stringify(configuration));
  return { rollsOnApply: trigger !== undefined };
}
