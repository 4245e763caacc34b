import {
  connectionsWithin,
  openFilesLimit,
  processesFor,
  requireConnections,
} from "../../../scripts/bench-control-plane/open-files";

const limits = (
  soft: string,
  hard: string,
) => `Limit                     Soft Limit           Hard Limit           Units
Max processes             95939                95939                processes
Max open files            ${soft.padEnd(21)}${hard.padEnd(21)}files
`;

test("the hard limit of open files counts", () => {
  expect(openFilesLimit(limits("1024", "20000"))).toBe(20_000);
  expect(openFilesLimit(limits("1024", "unlimited"))).toBe(Number.POSITIVE_INFINITY);
  expect(openFilesLimit()).toBeGreaterThan(0);
});

test("connections and processes stay within the limit, with room for what else is open", () => {
  expect(connectionsWithin(20_000, 20_000)).toBe(19_500);
  expect(connectionsWithin(10_000, 20_000)).toBe(10_000);
  expect(connectionsWithin(10, 100)).toBe(0);
  expect(processesFor(20_000, 20_000)).toBe(2);
  expect(processesFor(20_000, 1_048_576)).toBe(1);
  expect(processesFor(20_000, Number.POSITIVE_INFINITY)).toBe(1);
});

test("too low a limit is told with the one that is needed", () => {
  expect(() => requireConnections(10_000, 4_096)).toThrow(
    "this needs 10500 open files in one process, of which 4096 are allowed: ulimit -Hn 10500",
  );
  requireConnections(10_000, 10_500);
});
