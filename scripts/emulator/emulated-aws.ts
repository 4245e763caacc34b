import { startCorrectingServer } from "./correcting-server";
import { corrections } from "./corrections";
import { type Emulator, startMoto } from "./moto";

/**
 * Starts moto and, in front of it, a server that gives back what moto forgets, so that a plan of what was just applied is
 * empty. Both are on the loopback interface alone, keep nothing and end together.
 *
 * @throws Error with what moto printed, where it ends or does not answer within a minute.
 */
export async function startEmulatedAws(): Promise<Emulator> {
  const moto = await startMoto();
  try {
    const server = await startCorrectingServer(moto.url, corrections());
    return {
      url: server.url,
      stop: async () => {
        await server.stop();
        await moto.stop();
      },
    };
  } catch (error) {
    await moto.stop();
    throw error;
  }
}
