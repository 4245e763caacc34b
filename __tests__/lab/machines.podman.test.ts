import type { Machine, Machines } from "../../scripts/emulator/machines";
import { instanceLeaves } from "../../scripts/emulator/metadata/leaves";
import { type MetadataServer, startMetadataServer } from "../../scripts/emulator/metadata/server";
import { containerMachines } from "../../scripts/rehearse/machines/container-machines";
import { launchedInstance } from "../support/instance/instance";
import { useLab } from "../support/instance/lab";
import { until } from "../support/instance/until";

const bench = useLab();
const ADDRESSES = { a: 11, b: 12 };
let metadata: MetadataServer;
let machines: Machines;

const address = (name: keyof typeof ADDRESSES) => `10.${bench.lab().id}.7.${ADDRESSES[name]}`;
const instance = (name: keyof typeof ADDRESSES) =>
  launchedInstance(address(name), `i-00000000000000${ADDRESSES[name]}a`);
const booted = (machine: Machine) =>
  until(
    "cloud-init has run the user data",
    async () => (await machine.exec("cat", "/var/log/boots").catch(() => "")).includes("booted"),
    machine.console,
  );

beforeAll(async () => {
  const { hostAddress } = bench.lab().network;
  metadata = await startMetadataServer(hostAddress, (from) => {
    const name = (Object.keys(ADDRESSES) as (keyof typeof ADDRESSES)[]).find((each) => address(each) === from);
    if (name === undefined) return undefined;
    const { id, ...launched } = instance(name);
    return instanceLeaves({
      ...launched,
      instanceId: id,
      instanceType: "t3.medium",
      architecture: "x86_64",
      accountId: "123456789012",
      region: "us-east-1",
      availabilityZone: "us-east-1a",
      userData: Buffer.from(`#!/bin/sh\necho booted ${name} >>/var/log/boots\n`),
    });
  });
  machines = await containerMachines({
    lab: bench.lab(),
    image: bench.image(),
    metadataPort: metadata.port,
    environment: () => ({ COLOUR: "deep blue" }),
  });
});

afterEach(() => machines.stop());
afterAll(() => metadata?.stop());

test("a machine boots its own user data with its own address, and its volume outlives it", async () => {
  // GIVEN two machines
  await machines.createVolume("vol-0a", 1);
  const [a, b] = await Promise.all([machines.start(instance("a")), machines.start(instance("b"))]);
  await Promise.all([booted(a), booted(b)]);

  // THEN each is its own instance
  expect(await a.exec("cat", "/var/log/boots")).toBe("booted a");
  expect(await b.exec("cat", "/var/log/boots")).toBe("booted b");
  expect(await a.exec("cat", "/run/cloud-init/result.json")).toContain("DataSourceEc2Local");
  expect(await a.exec("ip", "-brief", "addr", "show", "eth0")).toContain(`${address("a")}/32`);
  expect(await a.exec("cat", "/sys/class/net/eth0/address")).toBe(instance("a").macAddress);
  expect(await a.exec("systemctl", "show-environment")).toContain("COLOUR=$'deep blue'");
  // Refused by the peer, status 7: it is there.
  await expect(a.exec("curl", "--silent", "--max-time", "60", `http://${address("b")}:1`)).rejects.toThrow("status 7");

  // WHEN a volume is attached while the machine runs
  const byId = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0a";
  await a.attach("vol-0a", "/dev/sdf");
  await expect(b.attach("vol-0a", "/dev/sdf")).rejects.toThrow(`vol-0a is attached to ${instance("a").id}`);
  await expect(machines.deleteVolume("vol-0a")).rejects.toThrow("vol-0a is attached to");
  await a.exec("mkfs.xfs", "-q", byId);
  await a.exec("sh", "-c", `mkdir /data; mount ${byId} /data; echo kept >/data/file; sync /data/file`);
  await machines.growVolume("vol-0a", 2);
  await a.exec("xfs_growfs", "/data");
  expect(Number(await a.exec("stat", "--file-system", "--format=%b", "/data"))).toBeGreaterThan(400_000);

  // AND the machine restarts
  await a.reboot();
  await until("it is up again", async () =>
    /running/.test(await a.exec("systemctl", "is-system-running").catch(() => "")),
  );
  await a.exec("sh", "-c", "mount /dev/disk/by-uuid/* /data");
  expect(await a.exec("cat", "/data/file", "/var/log/boots")).toBe("kept\nbooted a");

  // AND is lost, and another takes its place
  await a.kill();
  await expect(a.exec("true")).rejects.toThrow("does not run");
  expect(await a.console()).toContain("Welcome to");
  const heir = await machines.start(instance("a"));
  await heir.attach("vol-0a", "/dev/sdf");
  expect(await heir.exec("sh", "-c", `mkdir -p /data; mount ${byId} /data; cat /data/file`)).toBe("kept");

  // WHEN it powers itself off
  await heir.exec("sh", "-c", "umount /data");
  await heir.detach("vol-0a");
  await machines.deleteVolume("vol-0a");
  await booted(heir);
  await heir.exec("systemctl", "--no-block", "poweroff").catch(() => undefined);
  await heir.ended;
  await b.shutdown();
});
