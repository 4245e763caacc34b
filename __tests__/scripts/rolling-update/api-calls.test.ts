import type { Cloud } from "../../../scripts/rolling-update/cloud";
import { type RunningServer, startHttpServer } from "../../support/http-server";
import { ROLL_ADAPTERS } from "../../support/roll-adapters";
import { useTestCredentials } from "../../support/test-credentials";

const PAGE = 60;
const GROUPS = Array.from({ length: 150 }, (_, index) => `orders-node-${index}`);

useTestCredentials();
let server: RunningServer | undefined;
afterEach(() => server?.close());

/** Auto Scaling that knows every group it is asked for, and shows at most so many on a page; a call tried again counts once. */
async function autoScalingOf(pageSize: number) {
  const asked = new Map<string, { action: string; names: number; token: number }>();
  server = await startHttpServer(({ body }) => {
    const parameters = new URLSearchParams(body);
    const names = [...parameters].filter(([key]) => key.startsWith("AutoScalingGroupNames.")).map(([, name]) => name);
    const token = Number(parameters.get("NextToken") ?? 0);
    asked.set(`${names[0]} from ${token}`, { action: parameters.get("Action") ?? "", names: names.length, token });
    const members = names
      .slice(token, token + pageSize)
      .map((name) => `<member><AutoScalingGroupName>${name}</AutoScalingGroupName></member>`);
    const next = token + pageSize < names.length ? `<NextToken>${token + pageSize}</NextToken>` : "";
    const result = `<AutoScalingGroups>${members.join("")}</AutoScalingGroups>${next}`;
    return {
      status: 200,
      headers: { "content-type": "text/xml" },
      body: `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult>${result}</DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`,
    };
  });
  return { asked, endpoint: server.endpoint };
}

const namesOf = async (cloud: Cloud) => (await cloud.describeGroups(GROUPS)).map(({ name }) => name);

describe.each(ROLL_ADAPTERS)("the calls of a look through $name", (adapter) => {
  test("R20: 150 groups are described in two calls of at most 100 names", async () => {
    const { asked, endpoint } = await autoScalingOf(100);

    await expect(namesOf(adapter.cloud("eu-west-1", endpoint))).resolves.toEqual(GROUPS);

    expect([...asked.values()].map(({ action, names }) => [action, names])).toEqual([
      ["DescribeAutoScalingGroups", 100],
      ["DescribeAutoScalingGroups", 50],
    ]);
  });

  test("R20: a page that is not the last is followed by the next", async () => {
    const { asked, endpoint } = await autoScalingOf(PAGE);

    await expect(namesOf(adapter.cloud("eu-west-1", endpoint))).resolves.toEqual(GROUPS);

    expect([...asked.values()].map(({ names, token }) => [names, token])).toEqual([
      [100, 0],
      [100, PAGE],
      [50, 0],
    ]);
  });
});
