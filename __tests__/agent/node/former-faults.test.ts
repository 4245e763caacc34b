import { readFileSync } from "node:fs";
import { join } from "node:path";
import { awsClient } from "../../../agent/host/aws";
import { imdsClient, instanceIdentity } from "../../../agent/host/imds";
import { createLog } from "../../../agent/host/log";
import { completeLaunch } from "../../../agent/node/launch-hook";
import { startAws, xmlError } from "../../support/fake-aws";
import { startHttpServer } from "../../support/http-server";
import { FAKE_CREDENTIALS, startImds } from "../../support/imds";
import { INSTANCE_ID, startNodeCloud } from "../../support/node-cloud";

/** What the scripts of the former module got wrong and no other test of a whole boot shows, by the line that did. */

describe("node_userdata.sh L50-51: what the metadata service answers", () => {
  test("is taken for an identity only if it is one: an error page is asked again, and then an error", async () => {
    const errorPage = await startHttpServer(() => ({ status: 500, body: "<html>Internal Server Error</html>" }));
    try {
      const imds = imdsClient({ endpoint: errorPage.endpoint, timeoutMs: 250, patienceMs: 100 });

      await expect(instanceIdentity(imds)).rejects.toThrow(`instance metadata service at ${errorPage.endpoint}`);
    } finally {
      await errorPage.close();
    }
  });

  test("is asked for again if it comes with an error, and then used", async () => {
    const service = await startImds();
    try {
      service.fail(2, 503);

      expect((await instanceIdentity(imdsClient({ endpoint: service.endpoint }))).instanceId).toBe(INSTANCE_ID);
    } finally {
      await service.close();
    }
  });
});

test("node_userdata.sh L54, mount_volume.sh L36: the agent downloads no tool and installs no package", () => {
  const sources = ["boot", "join-cluster", "prepare-filesystem", "disk/format", "disk/grow", "disk/mount", "main"].map(
    (name) => readFileSync(join(__dirname, "../../../agent/node", `${name}.ts`), "utf8"),
  );
  const bundle = readFileSync(join(__dirname, "../../../dist/node.mjs"), "utf8");

  expect(sources.join("\n")).not.toMatch(/\b(curl|wget|yum|dnf|apt-get|apt|jq|github\.com)\b/);
  expect(bundle).not.toMatch(/github\.com/);
});

describe("node_userdata.sh L130: completing the launch hook", () => {
  const hook = {
    autoScalingGroupName: "g",
    hookName: "kafka-node-asg-hook",
    instanceId: INSTANCE_ID,
    heartbeatTimeoutSeconds: 3_600,
  };

  test("outlasts throttling: a healthy node is not lost to one refused call", async () => {
    const cloud = await startNodeCloud({ volume: { volumeId: "vol-1", sizeGiB: 1, appear: () => {} } });
    try {
      let refused = 0;
      cloud.aws.intercept("CompleteLifecycleAction", (call) => {
        refused += 1;
        return refused <= 3
          ? xmlError(400, "Throttling", "Rate exceeded")
          : cloud.usually("CompleteLifecycleAction")(call);
      });
      const credentials = Object.assign(async () => FAKE_CREDENTIALS, { forget: () => {} });
      const aws = awsClient({
        region: "us-east-1",
        credentials,
        environment: cloud.environment,
        backoff: { baseMs: 1, capMs: 5 },
      });

      await completeLaunch(
        aws,
        hook,
        createLog(() => {}),
        new AbortController().signal,
      );

      expect(cloud.lifecycleState).toBe("InService");
      expect(refused).toBe(4);
    } finally {
      await cloud.close();
    }
  });

  test("that may not be completed is an error with AWS's own words, at once", async () => {
    const server = await startAws({ waitingHooks: [hook.hookName] });
    try {
      server.intercept("DescribeAutoScalingInstances", () => xmlError(403, "AccessDenied", "User is not authorized"));
      const credentials = Object.assign(async () => FAKE_CREDENTIALS, { forget: () => {} });
      const aws = awsClient({ region: "us-east-1", credentials, environment: { AWS_ENDPOINT_URL: server.endpoint } });

      await expect(
        completeLaunch(
          aws,
          hook,
          createLog(() => {}),
          new AbortController().signal,
        ),
      ).rejects.toThrow("User is not authorized");
      expect(server.callsOf("DescribeAutoScalingInstances")).toHaveLength(1);
    } finally {
      await server.close();
    }
  });
});
