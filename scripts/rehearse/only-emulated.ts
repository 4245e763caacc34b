import { emulatorEnvironment } from "../emulator/terraform";

/**
 * Has this process know no AWS but the emulated one: what runs in it with the default credentials, or is started by it, reaches
 * nothing else, whatever profile its user has.
 *
 * @returns what gives the environment back
 */
export function onlyEmulatedAws(url: string): () => void {
  const before = { ...process.env };
  const { AWS_MAX_ATTEMPTS: _ofTerraform, ...emulated } = emulatorEnvironment({ url, stop: async () => {} });
  exchange(emulated);
  return () => exchange(before);
}

function exchange(environment: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  Object.assign(process.env, environment);
}
