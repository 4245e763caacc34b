import { node22 } from "../../scripts/node22";

test.each(["22.18.0", "24.11.1"])("a Node.js %s is taken as it is, and said to be", (version) => {
  const said: string[] = [];

  expect(node22({ version, program: "/usr/bin/node" }, (line) => said.push(line))).toBe("/usr/bin/node");

  expect(said).toEqual([`Node.js ${version} is here already: the npm package node@22.23.3 is not fetched`]);
});
