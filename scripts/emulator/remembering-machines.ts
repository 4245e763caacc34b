import type { Machine, Machines } from "./machines";

/** What starts machines, and notes in `known` which stands for which instance. */
export function rememberingMachines(machines: Machines, known: Map<string, Machine>): Machines {
  return {
    ...machines,
    start: async (instance) => {
      const machine = await machines.start(instance);
      known.set(instance.id, machine);
      return machine;
    },
  };
}
