/** A program that opens a lab with a machine and a volume in it, says so, and lives until it is ended. */
import { containerMachines } from "../../scripts/rehearse/machines/container-machines";
import { openLab } from "../../scripts/rehearse/machines/lab";
import { launchedInstance } from "../support/instance/instance";

async function main(image: string): Promise<void> {
  const lab = await openLab();
  const machines = await containerMachines({ lab, image, metadataPort: 1, environment: () => ({}) });
  const machine = await machines.start(launchedInstance(`10.${lab.id}.0.10`));
  await machines.createVolume("vol-0b", 1);
  await machine.attach("vol-0b", "/dev/sdf");
  console.log(lab.id);
  await machine.ended;
}

void main(process.argv[2] ?? "");
