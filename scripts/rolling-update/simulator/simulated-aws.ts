import { seededRandom } from "../../seeded-random";
import { Guests } from "./guests";
import { type RegionOptions, SimulatedRegion } from "./simulated-region";
import { type Process, VirtualClock } from "./virtual-clock";

export { ACCOUNT, type Connection, REGION, templateId } from "./simulated-region";

export interface SimulationOptions extends RegionOptions {
  readonly seed?: number;
}

const HOUR_MS = 3_600_000;

/** A region in virtual time, with simulated nodes on its instances. */
export class SimulatedAws extends SimulatedRegion {
  readonly clock: VirtualClock;
  readonly random: () => number;
  readonly guests: Guests;

  constructor(options: SimulationOptions = {}) {
    const random = seededRandom(options.seed ?? 1);
    const clock = new VirtualClock(random);
    super(clock, options);
    this.clock = clock;
    this.random = random;
    this.guests = new Guests(clock, this.ec2, this.autoScaling, (id) => this.programOf(id), random);
    for (const node of this.manifest.nodes) this.guests.addNode(node);
  }

  /** A cluster whose nodes have all served on template version 1 for an hour, led by the last of them. */
  static async running(options: SimulationOptions = {}): Promise<SimulatedAws> {
    const aws = new SimulatedAws(options);
    const up = async (process: Process) => {
      while (!aws.settled()) await process.sleep(10_000);
    };
    const result = await aws.clock.run(up(aws.clock.process()), 24 * HOUR_MS);
    if (result === "still running") throw new Error("the simulated cluster did not come up");
    await aws.pass(HOUR_MS);
    aws.guests.lead(aws.manifest.nodes.findLast(({ id }) => aws.guests.serving(id))?.id);
    return aws;
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    await this.clock.run(new Promise(() => {}), ms);
  }

  /** Every node that has a group serves from its one instance. */
  settled(): boolean {
    const nodes = this.manifest.nodes.filter(({ group }) => this.autoScaling.groups.has(group));
    return nodes.every(
      ({ id, group }) =>
        this.guests.serving(id) && this.group(group).instances.every(({ lifecycle }) => lifecycle === "InService"),
    );
  }
}
