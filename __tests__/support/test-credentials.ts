import { CREDENTIALS } from "./roll-adapters";

/** Has the SDKs of a file's tests sign with {@link CREDENTIALS}, and with nothing that the machine has of its own. */
export function useTestCredentials(): void {
  const before = { ...process.env };
  beforeAll(() => {
    const { accessKeyId, secretAccessKey } = CREDENTIALS;
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
    delete process.env.AWS_PROFILE;
  });
  afterAll(() => {
    process.env = before;
  });
}
