import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { awsClient } from "../../../agent/host/aws";

let server: Server;
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** An AWS that answers so. */
async function answering(answer: RequestListener) {
  server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return awsClient({
    region: "us-east-1",
    credentials: Object.assign(async () => ({ accessKeyId: "AKIATEST", secretAccessKey: "test" }), { forget() {} }),
    environment: { AWS_ENDPOINT_URL: `http://127.0.0.1:${port}` },
    backoff: { baseMs: 1, capMs: 10 },
  });
}

test.each([200, 400])(
  "an answer with status %d that stops in the middle is waited for no longer than its call",
  async (status) => {
    const aws = await answering((_, response) => {
      response.writeHead(status, { "content-length": 100 }).write('{"QueueUrl"');
    });

    await expect(aws.call("sqs", "GetQueueUrl", {}, { timeoutMs: 300 })).rejects.toMatchObject({
      name: "AwsError",
      code: "Unreachable",
      status: 0,
    });
  },
);

test("a call whose answer breaks off is made again", async () => {
  let calls = 0;
  const aws = await answering((_, response) => {
    calls += 1;
    response.writeHead(200, { "content-length": 16 }).write('{"QueueUrl":');
    if (calls === 1) setImmediate(() => response.destroy());
    else response.end('"q"}');
  });

  expect(await aws.call("sqs", "GetQueueUrl")).toEqual({ QueueUrl: "q" });
  expect(calls).toBe(2);
});
