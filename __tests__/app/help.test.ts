import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { deploymentFiles, readDeployments } from "../../stacks/deployments";
import { KINDS } from "../../stacks/kinds";

const REPOSITORY = join(__dirname, "../..");
const EXAMPLES = deploymentFiles(join(REPOSITORY, "deployments"));

test("a command that the help shows names a file, or a stack, that is there", () => {
  const help = execFileSync(process.execPath, ["--import", "tsx", "main.ts", "--help"], {
    cwd: REPOSITORY,
    encoding: "utf8",
  });
  const named = (command: string) =>
    Array.from(help.matchAll(RegExp(`^  \\$ ${command} (\\S+)$`, "gm")), ([, it]) => it);

  const [stacks, files] = [named("npx cdktf deploy"), named("npm run synth --")];

  expect(stacks).toHaveLength(1);
  expect(readDeployments(EXAMPLES, KINDS).map(({ keys }) => keys.name)).toEqual(expect.arrayContaining(stacks));
  expect(files).toHaveLength(1);
  expect(EXAMPLES).toEqual(expect.arrayContaining(files.map((file) => join(REPOSITORY, file ?? ""))));
});
