import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { WrongUse } from "../wrong-use";
import type { Deployment } from "./deployment";
import { directoryDeployment } from "./directory";
import { documentDeployment, documentNames } from "./document";

/**
 * What `DEPLOYMENT` means: a directory with Terraform, a YAML file (`FILE#NAME` where it holds several documents), or the name of a
 * document in deployments/.
 *
 * @throws WrongUse where there is nothing of that kind, with what there is.
 */
export function findDeployment(wanted: string, deployments = "deployments"): Deployment {
  const [path = "", name] = wanted.split("#");
  if (existsSync(path)) {
    return statSync(path).isDirectory() ? directoryDeployment(path) : documentDeployment(path, name);
  }
  const files = existsSync(deployments) ? readdirSync(deployments).filter((file) => /\.ya?ml$/.test(file)) : [];
  const known = files.flatMap((file) => {
    const full = join(deployments, file);
    return documentNames(full).map((document) => ({ document, full }));
  });
  const found = known.find(({ document }) => document === wanted);
  if (found) return documentDeployment(found.full, found.document);
  const names = known.map(({ document }) => document).join(", ");
  throw new WrongUse(
    `${wanted}: no such file or directory, and no deployment of that name`,
    names === "" ? "name a YAML file or a directory with Terraform" : `in ${deployments}/ there are ${names}`,
  );
}
