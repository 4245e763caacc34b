import { readdir } from "node:fs/promises";
import { command, succeeds } from "./host-command";

/** A bridge of the lab's own. Nothing leads from it to any other network: a machine reaches this host and its peers. */
export interface LabNetwork {
  /** Of this host on the bridge; what machines may reach here listens on it. */
  readonly hostAddress: string;
  readonly cidr: string;
  /**
   * Makes the network namespace that a machine lives in, or takes that of its first process, with 169.254.169.254 translated to the lab's metadata server.
   *
   * @returns its path.
   * @throws Error where another machine of this host has the address.
   */
  join(nic: NetworkInterface): Promise<string>;
  leave(privateIp: string): Promise<void>;
}

export interface NetworkInterface {
  readonly privateIp: string;
  readonly macAddress: string;
  /** Where the metadata service listens on {@link LabNetwork.hostAddress}. */
  readonly metadataPort: number;
  /** Of the process whose namespace it is to be. @default - a namespace of no process */
  readonly pid?: number;
}

const NAMESPACES = "/run/netns";
const FIRST = 180;
const LAST = 239;

/** Names of at most 15 characters, as the kernel wants them for interfaces. */
const bridgeOf = (lab: string) => `holdfast${lab}`;
const namespaceOf = (lab: string, privateIp: string) => `holdfast${lab}-${privateIp}`;
const portOf = (lab: string, privateIp: string) => `hf${lab}${hex(privateIp)}`;

/** Labs whose network 10.<lab>.0.0/16 meets no address and no route of this machine, save those to everywhere. */
export async function freeNetworks(): Promise<string[]> {
  const routes: { dst: string }[] = JSON.parse(await command("ip", "-json", "-4", "route", "show", "table", "all"));
  const used = new Set(routes.flatMap(({ dst }) => secondNumbers(dst)));
  return numbers(FIRST, LAST)
    .filter((number) => !used.has(number))
    .map(String);
}

/** @throws Error where the bridge exists, or may not be made. */
export async function openNetwork(lab: string): Promise<LabNetwork> {
  const bridge = bridgeOf(lab);
  const hostAddress = `10.${lab}.0.1`;
  await command("ip", "link", "add", bridge, "type", "bridge");
  // Left to itself a bridge takes the lowest address of its ports, a new one with each machine: its neighbours lose it for half a minute.
  await command("ip", "link", "set", bridge, "address", macOf(hostAddress), "up");
  await command("ip", "addr", "add", `${hostAddress}/16`, "dev", bridge);

  return {
    hostAddress,
    cidr: `10.${lab}.0.0/16`,
    async join({ privateIp, macAddress, metadataPort, pid }) {
      const namespace = namespaceOf(lab, privateIp);
      const path = `${NAMESPACES}/${namespace}`;
      const port = portOf(lab, privateIp);
      const inside = (...args: string[]) => command("nsenter", `--net=${path}`, ...args);
      await command("ip", "netns", ...(pid === undefined ? ["add", namespace] : ["attach", namespace, String(pid)]));
      try {
        await command("ip", "route", "add", `${privateIp}/32`, "dev", bridge);
        await command("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace);
        await command("ip", "link", "set", port, "master", bridge, "up");
        await inside("ip", "link", "set", "lo", "up");
        await inside("ip", "link", "set", "eth0", "address", macAddress, "up");
        await inside("ip", "addr", "add", `${privateIp}/32`, "dev", "eth0");
        // Every address is looked for on the bridge, whichever subnets the machines are in.
        await inside("ip", "route", "add", "default", "dev", "eth0");
        const metadata = ["-d", "169.254.169.254/32", "-p", "tcp", "--dport", "80"];
        const target = ["-j", "DNAT", "--to-destination", `${hostAddress}:${metadataPort}`];
        await inside("iptables", "-t", "nat", "-A", "OUTPUT", ...metadata, ...target);
      } catch (error) {
        await leave(lab, privateIp);
        throw error;
      }
      return path;
    },
    leave: (privateIp) => leave(lab, privateIp),
  };
}

/** The veth goes with the namespace, and with it the rules inside. */
async function leave(lab: string, privateIp: string): Promise<void> {
  await succeeds("ip", "route", "del", `${privateIp}/32`, "dev", bridgeOf(lab));
  await succeeds("ip", "link", "del", portOf(lab, privateIp));
  await succeeds("ip", "netns", "del", namespaceOf(lab, privateIp));
}

/** Removes the bridge, its routes and every machine's namespace; what is gone already is passed over. */
export async function removeNetwork(lab: string): Promise<void> {
  const namespaces = await readdir(NAMESPACES).catch(() => []);
  for (const name of namespaces.filter((name) => name.startsWith(`${bridgeOf(lab)}-`))) {
    await leave(lab, name.slice(bridgeOf(lab).length + 1));
  }
  await succeeds("ip", "link", "del", bridgeOf(lab));
}

/** Labs of which a bridge or a namespace is there. */
export async function labsWithNetworks(): Promise<string[]> {
  const links: { ifname: string }[] = JSON.parse(await command("ip", "-json", "link", "show"));
  const names = [...links.map(({ ifname }) => ifname), ...(await readdir(NAMESPACES).catch(() => []))];
  return names.flatMap((name) => /^holdfast(\d+)(?:-|$)/.exec(name)?.[1] ?? []);
}

/** Locally administered, from the address, as the machines' own. */
const macOf = (address: string) => `02:00:${(hex(address).match(/../g) ?? []).join(":")}`;

const hex = (address: string) =>
  address
    .split(".")
    .map((number) => Number(number).toString(16).padStart(2, "0"))
    .join("");

/** Of the networks 10.x.0.0/16 that a route's destination touches. */
function secondNumbers(destination: string): number[] {
  const [, first, second, length = "32"] = /^(\d+)\.(\d+)\.\d+\.\d+(?:\/(\d+))?$/.exec(destination) ?? [];
  if (first !== "10") return [];
  const start = Number(second);
  return numbers(start, start + 2 ** Math.max(0, 16 - Number(length)) - 1);
}

const numbers = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index);
