import type { S3Object } from "../../../../agent/host/aws";
import { releaseFetch } from "../../../../agent/worker/upgrade/release-fetch";
import { startHttpServer } from "../../../support/http-server";

const signal = new AbortController().signal;

test.each([
  ["https://releases.s3.eu-west-1.amazonaws.com/agent/1.1.0/a%20b.mjs", "eu-west-1"],
  ["https://releases.s3-eu-west-1.amazonaws.com/agent/1.1.0/a%20b.mjs", "eu-west-1"],
  ["https://releases.s3.cn-north-1.amazonaws.com.cn/agent/1.1.0/a%20b.mjs", "cn-north-1"],
])("R31: %s, in a bucket of the fleet's, is fetched with the instance's role", async (url, region) => {
  const asked: S3Object[] = [];
  const getObject = async (object: S3Object) => {
    asked.push(object);
    return new Response("whole");
  };

  const response = await releaseFetch({ getObject }, [{ bucket: "others" }, { bucket: "releases" }])(url, signal);

  expect(await response.text()).toBe("whole");
  expect(asked).toEqual([{ bucket: "releases", region, key: "agent/1.1.0/a b.mjs" }]);
});

test("R31: the role signs for no other bucket, and not what was signed beforehand", async () => {
  const server = await startHttpServer(() => ({ status: 200, body: "as the URL says" }));
  const fetched: string[] = [];
  const real = global.fetch;
  global.fetch = (url) => {
    fetched.push(String(url));
    return real(server.endpoint);
  };
  const release = releaseFetch({ getObject: () => Promise.reject(new Error("signed")) }, [{ bucket: "releases" }]);
  const urls = [
    "https://others.s3.eu-west-1.amazonaws.com/agent.mjs",
    "https://releases.s3.eu-west-1.amazonaws.com.example.com/agent.mjs",
    "https://releases.s3.eu-west-1.amazonaws.com/agent.mjs?X-Amz-Signature=00",
    "https://releases.example.com/agent.mjs",
  ];
  try {
    for (const url of urls) expect(await (await release(url, signal)).text()).toBe("as the URL says");
  } finally {
    global.fetch = real;
    await server.close();
  }
  expect(fetched).toEqual(urls);
});
