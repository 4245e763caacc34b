import { execFileSync } from "node:child_process";

/** jest globalSetup: the bundles that user data packs are built once, from the sources under test. */
export default function buildBundles(): void {
  execFileSync(process.execPath, ["--import", "tsx", "scripts/bundle.ts"], { stdio: ["ignore", "ignore", "inherit"] });
}
