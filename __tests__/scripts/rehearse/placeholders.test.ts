import { commonPrefix, neededSubnets, replaced } from "../../../scripts/rehearse/deployment/placeholders";

const node = (node_id: string, node_ip: string, node_subnet_id: string) => ({ node_id, node_ip, node_subnet_id });
const NO_IDS = new Map<string, string>();

test("addresses of one network move to the other, wherever they stand, and no others", () => {
  const text = [
    'node_ip: 10.50.0.10 # and "10.50.16.10:2888"',
    'cidr_block = cidrsubnet("10.50.0.0/20", 4, 1), host = "10.50.0.${index}"',
    "elsewhere: 10.30.50.1, 110.50.0.1, 10.50, 1.10.50.0, 10.500.1.1",
  ].join("\n");
  expect(replaced(text, { from: "10.50", to: "10.183" }, NO_IDS)).toBe(
    [
      'node_ip: 10.183.0.10 # and "10.183.16.10:2888"',
      'cidr_block = cidrsubnet("10.183.0.0/20", 4, 1), host = "10.183.0.${index}"',
      "elsewhere: 10.30.50.1, 110.50.0.1, 10.50, 1.10.50.0, 10.500.1.1",
    ].join("\n"),
  );
});

test("an id is replaced where it stands whole", () => {
  const ids = new Map([["subnet-0a1", "subnet-made"]]);
  expect(replaced("[subnet-0a1, subnet-0a12, x-subnet-0a1]", undefined, ids)).toBe(
    "[subnet-made, subnet-0a12, x-subnet-0a1]",
  );
});

test("addresses are in one network of /16, or refused by name", () => {
  expect(commonPrefix(["10.50.0.10", "10.50.16.10"], "nodes")).toBe("10.50");
  expect(commonPrefix([], "nodes")).toBeUndefined();
  expect(() => commonPrefix(["10.50.0.10", "10.60.0.10"], "zk.yaml: nodes")).toThrow(
    "zk.yaml: nodes: there are addresses of 10.50.0.0/16 and 10.60.0.0/16",
  );
});

describe("a subnet that nodes name", () => {
  test("holds all its nodes", () => {
    expect(
      neededSubnets([node("00", "10.50.0.10", "a"), node("01", "10.50.0.200", "a"), node("02", "10.50.16.10", "b")]),
    ).toEqual([
      { id: "a", cidrBlock: "10.50.0.0/24" },
      { id: "b", cidrBlock: "10.50.16.0/24" },
    ]);
    expect(neededSubnets([node("00", "10.50.0.10", "a"), node("01", "10.50.3.10", "a")])).toEqual([
      { id: "a", cidrBlock: "10.50.0.0/22" },
    ]);
  });

  test("is as small as its neighbour demands", () => {
    const [a, b] = neededSubnets([node("00", "10.50.0.10", "a"), node("01", "10.50.0.40", "b")]);
    expect([a?.cidrBlock, b?.cidrBlock]).toEqual(["10.50.0.0/27", "10.50.0.32/27"]);
  });

  test("is refused where its nodes and those of another lie mixed", () => {
    expect(() =>
      neededSubnets([node("00", "10.50.0.10", "a"), node("01", "10.50.0.11", "b"), node("02", "10.50.0.12", "a")]),
    ).toThrow("nodes: 00 (10.50.0.10), 02 (10.50.0.12) of a and 01 (10.50.0.11) of b cannot be in two networks");
  });
});
